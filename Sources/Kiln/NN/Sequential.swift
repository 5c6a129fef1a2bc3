// Layers one after the other, written as a list or as lines of a block.
import KilnIR

/// Layers applied in order. Their names are their numbers: `0.weight`, `1.bias`.
///
///     let model = Sequential {
///         Conv2d(1, 16, kernel: 3, padding: 1)
///         ReLU()
///         Flatten()
///         Linear(1024, 10)
///     }
public final class Sequential: LocatedLayer {
    public let layers: [any Layer]

    public init(_ layers: any Layer...) { self.layers = layers }
    public init(_ layers: [any Layer]) { self.layers = layers }
    public init(@LayerBuilder _ layers: () -> [any Layer]) { self.layers = layers() }

    public func callAsFunction(_ input: Tensor, file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        ThreadState.current.called(from: SourceLocation(file, line)) { layers.reduce(input) { $1($0) } }
    }
    public subscript(index: Int) -> any Layer { layers[index] }
}

extension Sequential: CustomModuleChildren {
    package var children: [(name: String, value: Any)] { layers.enumerated().map { (String($0.offset), $0.element) } }
}

/// A module that names its parts itself.
package protocol CustomModuleChildren {
    var children: [(name: String, value: Any)] { get }
}

/// Collects the lines of a block of layers.
@resultBuilder
public enum LayerBuilder {
    public static func buildExpression(_ layer: any Layer) -> [any Layer] { [layer] }
    public static func buildBlock(_ parts: [any Layer]...) -> [any Layer] { parts.flatMap { $0 } }
    public static func buildOptional(_ part: [any Layer]?) -> [any Layer] { part ?? [] }
    public static func buildEither(first part: [any Layer]) -> [any Layer] { part }
    public static func buildEither(second part: [any Layer]) -> [any Layer] { part }
    public static func buildArray(_ parts: [[any Layer]]) -> [any Layer] { parts.flatMap { $0 } }
}
