// How wrong predictions are, as one number (or one for each example): PyTorch's losses.
import KilnIR
import KilnOps

/// What becomes of the losses of the examples.
public enum LossReduction: Sendable {
    case mean, sum, none

    fileprivate func apply(_ losses: Tensor) -> Tensor {
        switch self {
        case .mean: losses.mean()
        case .sum: losses.sum()
        case .none: losses
        }
    }
}

/// The cross entropy of scores against classes: the mean of `-log softmax(scores)[class]`.
///
/// - Parameters:
///   - scores: [batch, classes], or [batch, classes, …]
///   - classes: the right class of each example, integers [batch] or [batch, …]; or probabilities of the scores' shape.
///   - labelSmoothing: how much of the weight is spread evenly over all classes.
public func crossEntropy(_ scores: Tensor, _ classes: Tensor, labelSmoothing: Double = 0, reduction: LossReduction = .mean,
                         file: StaticString = #fileID, line: UInt = #line) -> Tensor {
    let location = SourceLocation(file, line)
    return ThreadState.current.called(from: location) { () -> Tensor in
        guard scores.rank >= 2 else { return mistake("crossEntropy", scores, classes, "the scores are not [batch, classes, …]", location) }
        let logs = scores.logSoftmax(1)
        if classes.dtype.isFloat {
            guard classes.dims == scores.dims else {
                return mistake("crossEntropy", scores, classes, "classes of \(classes.dtype) are probabilities, and their shape is not the scores'", location,
                               fix: "cast classes that are numbers to i64, or pass probabilities of the scores' shape")
            }
            let right = (logs * classes).sum([1])
            return reduction.apply(labelSmoothing == 0 ? -right : right * (labelSmoothing - 1) - logs.mean([1]) * labelSmoothing)
        }
        let right = picked(logs, classes, "crossEntropy", location)
        if labelSmoothing == 0 { return reduction.apply(-right) }
        return reduction.apply(right * (labelSmoothing - 1) - logs.mean([1]) * labelSmoothing)
    }
}

private func mistake(_ op: String, _ a: Tensor, _ b: Tensor, _ problem: String, _ location: SourceLocation,
                     fix: String = "pass scores [batch, classes, …] and classes [batch, …]") -> Tensor {
    if let known = [a, b].first(where: { $0.node.kind == .poison }) { return known }
    return .poisoned(ShapeError(op: op, problem, operands: [a.type, b.type], at: location, fix: fix), at: location)
}

/// The element of the classes' axis, 1, that each example's class names.
private func picked(_ scores: Tensor, _ classes: Tensor, _ op: String, _ location: SourceLocation) -> Tensor {
    guard classes.dtype.isInteger else {
        return mistake(op, scores, classes, "the classes are \(classes.dtype), and not integers", location, fix: "cast them to i64")
    }
    guard classes.dims == [scores.dims[0]] + scores.dims[2...] else {
        return mistake(op, scores, classes, "the classes' shape is not the scores' without axis 1", location)
    }
    return scores.gathering(1, classes.unsqueezed(1), for: op, at: location).squeezed(1)
}

/// The mean of `-scores[class]`, for scores that are logarithms of probabilities already.
public func nllLoss(_ scores: Tensor, _ classes: Tensor, reduction: LossReduction = .mean, file: StaticString = #fileID,
                    line: UInt = #line) -> Tensor {
    let location = SourceLocation(file, line)
    return ThreadState.current.called(from: location) { () -> Tensor in
        guard scores.rank >= 2 else { return mistake("nllLoss", scores, classes, "the scores are not [batch, classes, …]", location) }
        return reduction.apply(-picked(scores, classes, "nllLoss", location))
    }
}

/// The mean of squared differences.
public func mseLoss(_ prediction: Tensor, _ target: Tensor, reduction: LossReduction = .mean, file: StaticString = #fileID,
                    line: UInt = #line) -> Tensor {
    let location = SourceLocation(file, line)
    return ThreadState.current.called(from: location) { reduction.apply((prediction - target).square()) }
}

/// The mean of absolute differences.
public func l1Loss(_ prediction: Tensor, _ target: Tensor, reduction: LossReduction = .mean, file: StaticString = #fileID,
                   line: UInt = #line) -> Tensor {
    let location = SourceLocation(file, line)
    return ThreadState.current.called(from: location) { reduction.apply((prediction - target).abs()) }
}

/// Squared differences below `beta`, absolute ones above, joined smoothly.
public func smoothL1Loss(_ prediction: Tensor, _ target: Tensor, beta: Double = 1, reduction: LossReduction = .mean, file: StaticString = #fileID,
                         line: UInt = #line) -> Tensor {
    let location = SourceLocation(file, line)
    return ThreadState.current.called(from: location) { () -> Tensor in
        if beta == 0 { return l1Loss(prediction, target, reduction: reduction) }
        let distance = (prediction - target).abs()
        return reduction.apply((distance .< beta).select(distance.square() * (0.5 / beta), distance - 0.5 * beta))
    }
}

/// The binary cross entropy of probabilities; logarithms are kept above -100.
public func binaryCrossEntropy(_ probabilities: Tensor, _ targets: Tensor, reduction: LossReduction = .mean, file: StaticString = #fileID,
                               line: UInt = #line) -> Tensor {
    let location = SourceLocation(file, line)
    return ThreadState.current.called(from: location) { () -> Tensor in
        if let wrong = unlike("binaryCrossEntropy", probabilities, targets, location) { return wrong }
        let yes = probabilities.log().clamp(min: -100.0)
        let no = (1 - probabilities).log().clamp(min: -100.0)
        return reduction.apply(-(targets * yes + (1 - targets) * no))
    }
}

/// The binary cross entropy of `sigmoid(scores)`, without overflow.
public func binaryCrossEntropyWithLogits(_ scores: Tensor, _ targets: Tensor, reduction: LossReduction = .mean, file: StaticString = #fileID,
                                         line: UInt = #line) -> Tensor {
    let location = SourceLocation(file, line)
    return ThreadState.current.called(from: location) { () -> Tensor in
        if let wrong = unlike("binaryCrossEntropyWithLogits", scores, targets, location) { return wrong }
        return reduction.apply(scores.relu() - scores * targets + (-scores.abs()).exp().log1p())
    }
}

/// The mistake where a target is not of the prediction's shape: spread over one another, they would be compared each with all.
private func unlike(_ op: String, _ prediction: Tensor, _ target: Tensor, _ location: SourceLocation) -> Tensor? {
    prediction.dims == target.dims ? nil
        : mistake(op, prediction, target, "the targets' shape is not the predictions'", location, fix: "reshape one of them, such as with squeezed()")
}
