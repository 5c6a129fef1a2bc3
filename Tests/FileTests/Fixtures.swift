// The fixtures that make.py wrote, the values they hold, and bytes that are wrong in one place.
import Kiln
import KilnIR
import Testing

enum Fixtures {
    static let directory = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/Fixtures/"

    static func bytes(_ name: String) throws -> [UInt8] { try FileSystem.contents(of: directory + name) }

    /// What every file of all types holds under a type's name.
    static func values(_ dtype: DType) -> Literal {
        let base: [Double] = switch dtype {
        case .bool: [0, 0, 0, 1, 1, 1]
        case _ where dtype.isFloat: [-1, -0.5, 0, 0.5, 1, 1.5]
        case _ where dtype.isUnsigned: [0, 1, 2, 3, 4, 5]
        default: [-2, -1, 0, 1, 2, 3]
        }
        return Literal(dtype, [2, 3], doubles: base)
    }
}

/// Expects a `FileError` that says `text`.
func expectFailure(_ text: String, sourceLocation: Testing.SourceLocation = #_sourceLocation, _ body: () throws -> Void) {
    do {
        try body()
        Issue.record("there was no error, expected: \(text)", sourceLocation: sourceLocation)
    } catch let error as FileError {
        #expect("\(error)".contains(text), "\(error)", sourceLocation: sourceLocation)
        #expect("\(error)".contains("fix: "), sourceLocation: sourceLocation)
    } catch { Issue.record("another kind of error: \(error)", sourceLocation: sourceLocation) }
}

extension [UInt8] {
    /// The bytes with others in their place from `offset` on.
    func with(_ replacement: [UInt8], at offset: Int) -> [UInt8] {
        var copy = self
        copy.replaceSubrange(offset..<offset + replacement.count, with: replacement)
        return copy
    }

    /// The bytes with a number in little-endian order from `offset` on.
    func with<T: FixedWidthInteger>(_ number: T, at offset: Int) -> [UInt8] {
        with(Swift.withUnsafeBytes(of: number.littleEndian) { [UInt8]($0) }, at: offset)
    }

    /// Where a text begins, the last time.
    func last(_ text: [UInt8]) -> Int { (0...(count - text.count)).last { self[$0..<$0 + text.count].elementsEqual(text) }! }
}
