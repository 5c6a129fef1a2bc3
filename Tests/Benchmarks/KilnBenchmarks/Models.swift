// The larger models that are trained in comparisons, written as a user would.

import Kiln

/// A transformer that predicts the next token: pre-norm blocks of causal attention and a wider layer.
final class GPT: Layer {
    private let embed: Embedding
    @Parameter var position: Tensor
    private let blocks: [Block]
    private let norm: LayerNorm
    private let head: Linear

    init(vocabulary: Int = 256, width: Int = 256, layers: Int = 4, heads: Int = 8, tokens: Int = 128, dtype: DType = .f32) {
        embed = Embedding(vocabulary, width, dtype: dtype)
        _position = Parameter(Tensor.randn([tokens, width], dtype: dtype) * 0.02)
        blocks = (0..<layers).map { _ in Block(width, heads: heads, dtype: dtype) }
        norm = LayerNorm(width, dtype: dtype)
        head = Linear(width, vocabulary, dtype: dtype)
    }

    /// [batch, tokens] → [batch · tokens, vocabulary].
    func callAsFunction(_ tokens: Tensor) -> Tensor {
        var x = embed(tokens) + position
        for block in blocks { x = block(x) }
        return head(norm(x)).flatten(from: 0, to: 1)
    }

    private final class Block: Layer {
        private let norm1: LayerNorm
        private let attention: MultiheadAttention
        private let norm2: LayerNorm
        private let wide: Linear
        private let narrow: Linear

        init(_ width: Int, heads: Int, dtype: DType) {
            norm1 = LayerNorm(width, dtype: dtype)
            attention = MultiheadAttention(width, heads: heads, isCausal: true, dtype: dtype)
            norm2 = LayerNorm(width, dtype: dtype)
            wide = Linear(width, 4 * width, dtype: dtype)
            narrow = Linear(4 * width, width, dtype: dtype)
        }

        func callAsFunction(_ input: Tensor) -> Tensor {
            let x = input + attention(norm1(input))
            return x + narrow(wide(norm2(x)).gelu())
        }
    }
}

/// A residual network of 18 layers. (K. He et al., "Deep Residual Learning for Image Recognition", 2015.)
final class ResNet18: Layer {
    private let stem = Conv2d(3, 64, kernel: 7, stride: 2, padding: 3, bias: false)
    private let norm = BatchNorm2d(64)
    private let pool = MaxPool2d(3, stride: 2, padding: 1)
    private let blocks: [Block]
    private let head: Linear

    init(classes: Int) {
        let widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
        blocks = widths.map { Block($0, $1, stride: $2) }
        head = Linear(512, classes)
    }

    func callAsFunction(_ images: Tensor) -> Tensor {
        var x = pool(norm(stem(images)).relu())
        for block in blocks { x = block(x) }
        return head(x.mean(2, 3))
    }

    private final class Block: Layer {
        private let first: Conv2d
        private let norm1: BatchNorm2d
        private let second: Conv2d
        private let norm2: BatchNorm2d
        private let shortcut: Sequential?

        init(_ inputs: Int, _ outputs: Int, stride: Int) {
            first = Conv2d(inputs, outputs, kernel: 3, stride: Extent(stride), padding: 1, bias: false)
            norm1 = BatchNorm2d(outputs)
            second = Conv2d(outputs, outputs, kernel: 3, padding: 1, bias: false)
            norm2 = BatchNorm2d(outputs)
            shortcut = stride == 1 ? nil : Sequential(Conv2d(inputs, outputs, kernel: 1, stride: Extent(stride), bias: false), BatchNorm2d(outputs))
        }

        func callAsFunction(_ input: Tensor) -> Tensor {
            let x = norm2(second(norm1(first(input)).relu()))
            return (x + (shortcut?(input) ?? input)).relu()
        }
    }
}
