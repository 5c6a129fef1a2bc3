// Strings as numbers: each different text has one number for as long as the process runs, so that equal texts are equal numbers.

import Synchronization

/// The texts behind the elements of string tensors.
public enum StringPool {
    private struct State {
        var numbers: [String: Int64] = [:]
        var texts: [String] = []
    }
    private static let state = Mutex(State())

    /// The number of a text.
    public static func number(of text: String) -> Int64 {
        state.withLock { state in
            if let known = state.numbers[text] { return known }
            state.texts.append(text)
            state.numbers[text] = Int64(state.texts.count - 1)
            return Int64(state.texts.count - 1)
        }
    }

    /// The text with a number; nil where no text has it.
    public static func text(_ number: Int64) -> String? {
        state.withLock { number >= 0 && number < $0.texts.count ? $0.texts[Int(number)] : nil }
    }
}
