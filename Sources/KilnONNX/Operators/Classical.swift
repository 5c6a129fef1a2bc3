// Operators of classical machine learning (ai.onnx.ml) that are no trees: features, scales, labels and linear models.

import KilnIR
import KilnOps

extension Operators {
    static let classical: [Operator] = [
        Operator("ArrayFeatureExtractor", .ml, items: { node in
            let x = try node.stored(0), indices = try node.tensor(1)
            let rows = x.value.rank == 1 ? x.value.unsqueezed(0) : x.value
            return [.tensor(ImportedTensor(rows.take(indices.reshaping(to: [indices.type.elementCount]), axis: -1), x.element))]
        }),
        Operator("Binarizer", .ml) { node in
            let x = try node.tensor(0)
            return (x .> node.real("threshold", 0)).cast(to: x.dtype)
        },
        Operator("Scaler", .ml) { node in
            var x = try node.tensor(0).cast(to: .f32)
            if let offset = node.reals("offset") { x = x - node.row(offset) }
            return node.reals("scale").map { x * node.row($0) } ?? x
        },
        // A row whose divisor is zero stays.
        Operator("Normalizer", .ml) { node in
            let x = try node.tensor(0).cast(to: .f32), axis = x.rank - 1
            let divisor = switch node.text("norm", "MAX") {
            case "MAX": x.max(axis, keepDims: true)
            case "L1": x.abs().sum(axis, keepDims: true)
            case "L2": x.square().sum(axis, keepDims: true).sqrt()
            case let other: throw node.mistake("knows no norm '\(other)'")
            }
            return x / (divisor .== 0).select(1, divisor)
        },
        Operator("LinearRegressor", .ml) { node in
            try node.scores(targets: node.integer("targets", 1)).postTransformed(node.text("post_transform", "NONE"), node)
        },
        Operator("LinearClassifier", .ml, items: { node in
            let numbers = node.integers("classlabels_ints"), texts = node.texts("classlabels_strings")
            let scores = try node.scores(targets: (numbers?.count ?? texts?.count) ?? 0)
            return [.tensor(node.labels(numbers, texts, scores.argmax(1))),
                    .tensor(try scores.postTransformed(node.text("post_transform", "NONE"), node))]
        }),
        Operator("LabelEncoder", .ml, items: encodedLabels),
    ]

    /// Each element's place among the keys says which value it becomes. Of equal keys the last counts; NaN equals NaN since version 4.
    private static func encodedLabels(_ node: NodeContext) throws -> [Item] {
        let x = try node.stored(0)
        let (keys, from) = try node.list("keys"), (values, to) = try node.list("values")
        guard keys.shape.first == values.shape.first, from == x.element else {
            throw node.mistake("has \(keys.shape.first ?? 0) keys for \(values.shape.first ?? 0) values, or keys of another type")
        }
        let place = from == .string ? node.position(of: try node.text(0), among: keys.texts) + 1 : try places(x.value, keys, node)
        if to == .string {
            let unknown = try node.constant("default_tensor")?.literal.texts.first ?? node.text("default_string", "_Unused")
            return [.tensor(ImportedTensor(node.literal(texts: [unknown] + values.texts).take(place, axis: 0), to))]
        }
        let unknown = try node.constant("default_tensor")?.literal.scalars.first
            ?? (values.dtype.isFloat ? .real(node.real("default_float", -0.0)) : .integer(Int64(node.integer("default_int64", -1))))
        let table = node.literal(Literal(values.dtype, [values.count + 1], scalars: [unknown.converted(to: values.dtype)] + values.scalars))
        return [.tensor(ImportedTensor(table.take(place, axis: 0), to))]
    }

    /// Each number's place among the keys, from 1 on; 0 where it is none of them.
    private static func places(_ x: Value, _ keys: Literal, _ node: NodeContext) throws -> Value {
        let count = keys.count, type = x.type
        let row = node.literal(Literal(keys.dtype, [count], scalars: keys.scalars)), each = x.reshaping(to: type.shape + [1])
        var matches = each .== row
        if type.dtype.isFloat, node.version >= 4 { matches = matches | (each.isNaN() & row.isNaN()) }
        let places = matches.select(row.iota(.i64, [.constant(count)], axis: 0) + 1, 0)
        return count == 0 ? node.full(0, type.with(dtype: .i64)) : places.max(type.rank)
    }
}

extension NodeContext {
    /// A class's label for each position: its number, or else its text.
    func labels(_ numbers: [Int]?, _ texts: [String]?, _ positions: Value) -> ImportedTensor {
        if numbers == nil, let texts { return ImportedTensor(literal(texts: texts).take(positions, axis: 0), .string) }
        let numbers = numbers ?? []
        return ImportedTensor(literal(Literal(.i64, [numbers.count], scalars: numbers.map { .integer(Int64($0)) })).take(positions, axis: 0), .int64)
    }

    fileprivate func row(_ numbers: [Double]) -> Value { literal(Literal(.f32, [numbers.count], doubles: numbers)) }

    /// Products with the coefficients of each target, and its intercept.
    fileprivate func scores(targets: Int) throws -> Value {
        let x = try tensor(0).cast(to: .f32), coefficients = reals("coefficients") ?? []
        guard targets > 0, coefficients.count % targets == 0 else { throw mistake("has \(coefficients.count) coefficients for \(targets) targets") }
        let weights = literal(Literal(.f32, [targets, coefficients.count / targets], doubles: coefficients))
        return (x.rank == 1 ? x.unsqueezed(0) : x).linear(weights, reals("intercepts").map(row))
    }

    /// A list that an attribute holds as numbers, texts or a tensor: `name_int64s` and so on.
    fileprivate func list(_ name: String) throws -> (Literal, ElementType) {
        if let (literal, element) = try constant("\(name)_tensor") { return (literal, element) }
        if let texts = texts("\(name)_strings") {
            return (Literal(texts: texts, [texts.count]), .string)
        }
        if let numbers = integers("\(name)_int64s") { return (Literal(.i64, [numbers.count], scalars: numbers.map { .integer(Int64($0)) }), .int64) }
        if let reals = reals("\(name)_floats") { return (Literal(.f32, [reals.count], doubles: reals), .float) }
        throw mistake("has no \(name)")
    }
}

extension Value {
    /// Scores [rows, targets] as the attribute `post_transform` asks for them.
    func postTransformed(_ name: String, _ node: NodeContext) throws -> Value {
        switch name {
        case "NONE": return self
        case "SOFTMAX": return softmax(1)
        case "LOGISTIC": return sigmoid()
        // Scores of zero stay zero and count nothing.
        case "SOFTMAX_ZERO":
            let counts = self .!= 0, greatest = max(1, keepDims: true)
            let exponentials = counts.select((self - greatest).exp(), 0), total = exponentials.sum(1, keepDims: true)
            return exponentials / (total .== 0).select(1, total)
        default: throw Unsupported(reason: "scores transformed by \(name)")
        }
    }
}
