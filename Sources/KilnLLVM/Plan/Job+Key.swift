// What a module's code depends on, for the cache: a job comes in, a text goes out that is another where the code could be.

import KilnIR
import KilnKernels

extension Job {
    /// All that the code depends on, the compiler's build aside; nil where that can't be said in short.
    func key(in build: Build) -> String? {
        var text = "\(target)\n"
        if target.gpu != nil {
            return text + "kernels \(part.tasks) \(target.prefix(build.name))\n" + program.description(literalsAtMost: SharedConstants.threshold)
        }
        guard let functions = tasks.text(of: part.tasks) else { return nil }
        // Functions without an entry are named by the digest of what they are.
        if !part.hasEntry { return text + part.tasks.map { tasks.name(kernel: $0.kernel, launch: $0.launch, .any) }.joined(separator: "\n") }
        text += functions
        return text + entryKey(in: build)
    }

    /// What the entry and the program's table depend on: kernels only by what launches them.
    private func entryKey(in build: Build) -> String {
        var head = program
        // The symbols of kernels are read from their bodies where some are measured.
        for kernel in head.kernels.indices {
            (head.kernels[kernel].name, head.kernels[kernel].location) = ("", .unknown)
            if !program.dataDependent.isEmpty { continue }
            for launch in head.kernels[kernel].launches.indices { head.kernels[kernel].launches[launch].body = [] }
        }
        var text = "entry \(isTableAlone) devices \(build.devices.count) messages \(build.messages.texts.map(\.quoted))\n"
        text += head.description(literalsAtMost: 0)
        for number in program.buffers.indices where program.buffers[number].isConstant {
            text += "constant \(number) \(build.constants.number(of: number, in: program) ?? -1)"
            if case .constant(let literal) = program.buffers[number].storage, !SharedConstants.isShared(literal) { text += " \(SHA256.hex(literal.bytes))" }
            text += "\n"
        }
        if isTableAlone { return text }
        for (number, kernel) in program.kernels.enumerated() {
            for position in kernel.launches.indices {
                let survey = tasks.survey(kernel: number, launch: position)
                let name = tasks.name(kernel: number, launch: position, .any)
                text += "\(name) \(survey.buffers) \(survey.streams) \(survey.usesWorkspace) \(tasks.scalars(kernel: number, launch: position).map(\.bits))\n"
            }
        }
        return text
    }
}
