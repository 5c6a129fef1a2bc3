// How wide a thread's accesses are: the body of a kernel is written once to nowhere, and its loads and stores are looked at.
// Memory is read and written at full speed by 16 bytes a thread with neighbours next to one another.

import KilnIR

/// What a kernel's body does along one axis.
struct AxisSurvey {
    /// Bytes of the narrowest and widest elements that lie next to one another along the axis.
    var narrowest: Int?
    var widest = 4
    /// Accesses that jump along the axis, or that are there for some elements only.
    var scattered = 0
    /// Loads from buffers that change along the axis.
    var streams = 0
    /// Conditions that depend on the place along the axis, and the variable that it has in them.
    var conditions: [IndexCondition] = []
    var variable = 0

    /// Elements for a thread's access.
    var width: Int {
        guard scattered == 0, let narrowest else { return 1 }
        var width = max(1, min(narrowest == 1 && widest == 1 ? 16 : 8, 16 / narrowest, 32 / widest))
        // A condition is to hold for all of a vector or for none of it.
        while width > 1, !conditions.allSatisfy({ $0.uniform(over: variable, width: width) != nil }) { width /= 2 }
        return width
    }

    /// The width where an axis of the size is cut into whole vectors.
    func width(dividing size: Dim) -> Int {
        guard let size = size.constant else { return 1 }
        var width = self.width
        while size % width != 0 { width /= 2 }
        return width
    }
}

extension GroupLowering {
    /// Looks at what the body does along the axis.
    func survey(_ axis: DomainAxis, _ body: () throws -> Void) throws -> AxisSurvey {
        let probe = writer.makeVariable()
        elements.setVariable(axis.variable, to: .index(probe))
        let statements = try writer.block(body)
        var survey = AxisSurvey()
        survey.variable = probe
        var isVarying: Set<Int> = [probe]
        var varyingValues: Set<ValueNumber> = []
        func depends(_ dim: Dim) -> Bool { !dim.indices.isDisjoint(with: isVarying) }
        func look(_ access: Access, isStore: Bool) {
            guard case .buffer(let buffer) = access.memory else { return }
            let bytes = program.type(of: buffer).dtype.byteCount
            survey.conditions += access.conditions.filter { depends($0.expression) }
            guard depends(access.address) else { return }
            if !isStore { survey.streams += 1 }
            guard access.address.indices.isDisjoint(with: isVarying.subtracting([probe])), access.address.coefficient(ofIndex: probe) == 1 else {
                survey.scattered += 1
                return
            }
            survey.narrowest = min(survey.narrowest ?? bytes, bytes)
            survey.widest = max(survey.widest, bytes)
        }
        for statement in statements {
            switch statement {
            case .define(let number, let instruction):
                switch instruction {
                case .load(let access, _):
                    look(access, isStore: false)
                    if depends(access.address) { varyingValues.insert(number) }
                case .holds(let conditions): survey.conditions += conditions.filter { depends($0.expression) }
                case .position(let dim): if depends(dim) { varyingValues.insert(number) }
                case .apply(_, let arguments, _): if !varyingValues.isDisjoint(with: arguments) { varyingValues.insert(number) }
                default: break
                }
            case .bind(let variable, let value): if varyingValues.contains(value) { isVarying.insert(variable) }
            case .store(let access, _, _): look(access, isStore: true)
            default: break
            }
        }
        return survey
    }

    /// Writes the body for a thread's vector; one element is no vector.
    func threadLanes(_ width: Int, count: Dim? = nil, _ body: (Dim) throws -> Void) rethrows {
        if width > 1 {
            elements.laneWidth = width
            defer { elements.laneWidth = 0 }
            return try writer.lanes(width, count: count ?? .constant(width), body)
        }
        try writer.scoped { try body(0) }
    }
}

extension IndexCondition {
    /// The condition for all lanes of a vector of the width, where it holds for all or for none; nil where it may not.
    /// The lane (or a place that vectors start at multiples of) is the variable.
    func uniform(over variable: Int, width: Int) -> IndexCondition? {
        guard case .isNonNegative(let dim) = self, let step = dim.coefficient(ofIndex: variable)?.constant else { return nil }
        if step == 0 { return self }
        let base = dim - .index(variable) * .constant(step)
        guard step == 1 || step == -1, base.terms.allSatisfy({ $0.atoms.isEmpty || $0.coefficient % width == 0 }) else { return nil }
        let constant = base.terms.first { $0.atoms.isEmpty }?.coefficient ?? 0
        // lane + n * width >= 0 is n >= 0, and n * width + width - 1 - lane >= 0 is, too.
        let rest = constant - Int.floorDivide(constant, width) * width
        guard rest == (step == 1 ? 0 : width - 1) else { return nil }
        return .isNonNegative(base - .constant(rest))
    }
}
