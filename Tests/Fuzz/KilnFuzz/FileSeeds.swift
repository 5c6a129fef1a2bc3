// Valid inputs for the readers of files: arrays and archives as NumPy and Kiln write them, tensors as safetensors.

import Kiln
import KilnIR

enum FileSeeds {
    private static let literals: [(name: String, value: Literal)] = DType.all.map { dtype in
        (dtype.name, Literal(dtype, [2, 3], doubles: [0, 1, 2, 3, 4, 5]))
    } + [("scalar", Literal(.f32, [], doubles: [1.5])), ("empty", Literal(.i8, [0, 3], doubles: [])), ("many", Literal(.u8, [300], repeating: 7))]

    static let npy = literals.map { NPY.encode($0.value) } + [
        header("{'descr': '>f4', 'fortran_order': True, 'shape': (2, 1, 3), }", count: 24),
        header("{'descr': '|b1', 'fortran_order': True, 'shape': (3,), }", count: 3),
        header("{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }", count: 6),
        header("{'descr': '>U2', 'fortran_order': True, 'shape': (2, 1), }", count: 16),
    ]

    /// Version 2 of the format, whose length has 32 bits.
    private static func header(_ text: String, count: Int) -> [UInt8] {
        [0x93] + Array("NUMPY".utf8) + [2, 0, UInt8(text.utf8.count), 0, 0, 0] + Array(text.utf8) + [UInt8](repeating: 2, count: count)
    }

    static func npz() throws -> [[UInt8]] {
        let all = try [true, false].flatMap { isCompressed in
            try [0xFFFF_FFFF, 0].map { try NPZ.encode(literals, isCompressed: isCompressed, zip64From: $0) }
        }
        return try all + literals.suffix(3).map { try NPZ.encode([$0]) }
    }

    static func safetensors() throws -> [[UInt8]] {
        try [Safetensors.encode(literals, metadata: ["format": "np", "\"\n\u{1F525}": "\\u0041"])] + literals.map { try Safetensors.encode([$0]) }
            + [Safetensors.encode([])]
    }

    static let headerWords = [
        "descr", "fortran_order", "shape", "True", "False", "'<f4'", "'>i8'", "'|b1'", "'<U3'", "'|S2'", "(", ")", "(1,)", "()", "{", "}", ",", ":", "'", "\"", "0", "1", "2",
        "-1", "4611686018427387904", "9223372036854775807", "99999999999999999999", "L", "\n", " ", "[('x','<f4')]", "\u{93}NUMPY", "é",
    ]
    static let zipWords = ["PK\u{1}\u{2}", "PK\u{3}\u{4}", "PK\u{5}\u{6}", "PK\u{6}\u{6}", "PK\u{6}\u{7}", "a.npy", ".npy", "/", "\u{0}", "\u{0}\u{0}\u{0}\u{0}",
                           "\u{8}\u{0}", "\u{1}\u{0}\u{10}\u{0}", "\u{7f}\u{7f}\u{7f}\u{7f}"] + headerWords
    static let safetensorsWords = [
        "__metadata__", "dtype", "shape", "data_offsets", "\"F32\"", "\"BF16\"", "\"BOOL\"", "\"F8_E4M3\"", "[", "]", "[0,4]", "[1,2]", "[]", "{}", "\\u00e9",
        "\\ud83d\\udd25", "\\ud800", "\\", "\u{0}",
    ] + headerWords
}
