// `StringNormalizer`: a list of texts without those that are stop words, in capitals, small letters or as they are.

import KilnIR
import KilnOps

extension NodeContext {
    /// The texts of input 0, of shape [count] or [1, count], that stay; one empty text where none does.
    func normalizedTexts() throws -> Value {
        let texts = try text(0), action = self.text("case_change_action", "NONE"), stopWords = self.texts("stopwords") ?? []
        guard texts.rank == 2 || texts.rank == 3 && texts.size(axis: 0) == 1 else {
            throw mistake("takes a list of texts or one row, was given texts of shape \(Array(texts.dims.dropLast()))")
        }
        guard let mapping = ["NONE": CaseMapping?.none, "UPPER": .upper, "LOWER": .lower][action] else {
            throw mistake("knows no case_change_action '\(action)'")
        }
        // The languages that map letters in another way than all others.
        let language = self.text("locale", "en_US").prefix { $0.isLetter }.lowercased()
        if mapping != nil, ["tr", "az", "lt"].contains(language) { throw Unsupported(reason: "letters of the language '\(language)'") }

        let rows = texts.textRows
        var result = mapping.map { $0.mapped(rows, self) } ?? rows
        if !stopWords.isEmpty {
            let compared = flag("is_case_sensitive") ? rows : mapping == nil ? CaseMapping.lower.mapped(rows, self) : result
            let words = flag("is_case_sensitive") ? stopWords : stopWords.map { (mapping ?? .lower)($0) }
            let stays = position(of: compared, among: words) .< 0
            // One that is empty stays where no other does.
            let empty = full(.unsigned(0), TensorType(.u8, [1, result.width]))
            result = Value.concatenate([result, empty]).compress(.concatenate([stays, .!stays.any(0, keepDims: true)]), axis: 0)
        }
        if mapping != nil { result = result.trimmed }
        return texts.rank == 3 ? result.unsqueezed(0) : result
    }
}
