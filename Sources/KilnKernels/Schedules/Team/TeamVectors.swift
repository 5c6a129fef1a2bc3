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

    /// Elements for a thread's access.
    var width: Int {
        guard scattered == 0, let narrowest else { return 1 }
        return max(1, min(narrowest == 1 && widest == 1 ? 16 : 8, 16 / narrowest, 32 / widest))
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
        var isVarying: Set<Int> = [probe]
        var varyingValues: Set<ValueNumber> = []
        func depends(_ dim: Dim) -> Bool { !dim.indices.isDisjoint(with: isVarying) }
        func look(_ access: Access, isStore: Bool) {
            guard case .buffer(let buffer) = access.memory else { return }
            let bytes = program.program.buffers[buffer].type.dtype.byteCount
            if access.conditions.contains(where: { depends($0.expression) }) { survey.scattered += 1 }
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
        if width > 1 { return try writer.lanes(width, count: count ?? .constant(width), body) }
        try writer.scoped { try body(0) }
    }
}
