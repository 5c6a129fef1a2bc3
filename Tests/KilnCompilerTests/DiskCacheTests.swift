// The cache on the disk: what is kept comes back, what is damaged doesn't, and nothing that goes wrong with the folder is anyone's trouble.

import Foundation
import KilnIR
@testable import KilnCompiler
import Testing

/// A folder for one test.
func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-cache-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
}

/// The files below a folder.
func files(in folder: String) -> [String] {
    let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return names.map { "\(folder)/\($0)" }.filter { path in
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
    }.sorted()
}

@Suite struct DiskCacheTests {
    private static let code = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }

    @Test func digestsAreThoseOfTheStandard() {
        #expect(SHA256.hex([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(SHA256.hex(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let long = Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)
        #expect(SHA256.hex(long) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        // In pieces of every length.
        for step in 1...130 {
            var hash = SHA256()
            for start in stride(from: 0, to: Self.code.count, by: step) {
                Array(Self.code[start..<min(start + step, Self.code.count)]).withUnsafeBytes { hash.update($0) }
            }
            #expect(hash.digest().hex == SHA256.hex(Self.code))
        }
    }

    @Test func whatIsKeptComesBack() throws {
        try withFolder { folder in
            let cache = DiskCache(folder: "\(folder)/a/b")
            #expect(cache.code(for: "key") == nil)
            cache.keep(Self.code, for: "key")
            cache.keep([], for: "nothing")
            #expect(cache.code(for: "key") == Self.code)
            #expect(cache.code(for: "nothing") == [])
            #expect(cache.code(for: "another key") == nil)
            #expect(DiskCache(folder: "\(folder)/a/b").code(for: "key") == Self.code)
        }
    }

    /// Cut off anywhere, changed anywhere, or longer: no code, and the file goes.
    @Test func whatIsDamagedIsMissing() throws {
        try withFolder { folder in
            let cache = DiskCache(folder: folder)
            cache.keep(Self.code, for: "key")
            let file = try #require(files(in: folder).first)
            let whole = try Data(contentsOf: URL(fileURLWithPath: file))
            var broken = (0..<whole.count).map { Data(whole.prefix($0)) } + [whole + [0]]
            for position in whole.indices {
                var changed = whole
                changed[position] ^= 0x10
                broken.append(changed)
            }
            for bytes in broken {
                try bytes.write(to: URL(fileURLWithPath: file))
                #expect(cache.code(for: "key") == nil)
                #expect(files(in: folder).isEmpty)
            }
            cache.keep(Self.code, for: "key")
            #expect(cache.code(for: "key") == Self.code)
        }
    }

    /// Nothing is shared by writers but the folder, so threads stand for processes.
    @Test func anyNumberMayWrite() throws {
        try withFolder { folder in
            DispatchQueue.concurrentPerform(iterations: 16) { writer in
                let cache = DiskCache(folder: folder)
                for round in 0..<50 {
                    let key = (writer + round) % 20
                    let code = [UInt8](repeating: UInt8(key), count: 1000 + key)
                    if let known = cache.code(for: "\(key)") { #expect(known == code) } else { cache.keep(code, for: "\(key)") }
                }
            }
            #expect(files(in: folder).count == 20)
        }
    }

    @Test func whatWasNotUsedForLongestGoesFirst() throws {
        try withFolder { folder in
            // Room for two of these in each share of the folder.
            let cache = DiskCache(folder: folder, limit: 64 * 2500)
            let code = [UInt8](repeating: 1, count: 1000)
            for key in 0..<1000 {
                cache.keep(code, for: "\(key)")
                // This one is always in use.
                if cache.code(for: "mine") == nil { cache.keep([2], for: "mine") }
            }
            let sizes = try files(in: folder).map { try #require(FileManager.default.attributesOfItem(atPath: $0)[.size] as? Int) }
            #expect(sizes.reduce(0, +) <= 64 * 2500)
            #expect(sizes.count > 64)
            #expect(cache.code(for: "mine") == [2])
            #expect(cache.code(for: "0") == nil)
            #expect(cache.code(for: "999") == code)
            // What has no room at all is not kept.
            cache.keep([UInt8](repeating: 3, count: 3000), for: "large")
            #expect(cache.code(for: "large") == nil)
        }
    }

    @Test func aFolderThatCannotBeWrittenIsNoTrouble() throws {
        try withFolder { folder in
            try Data([1]).write(to: URL(fileURLWithPath: "\(folder)/file"))
            for place in ["\(folder)/file", "\(folder)/file/below", "/proc/kiln", ""] {
                let cache = DiskCache(folder: place)
                cache.keep(Self.code, for: "key")
                #expect(cache.code(for: "key") == nil)
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/file")) == Data([1]))
        }
    }

    @Test func theEnvironmentSaysWhere() {
        func folder(_ variables: [String: String]) -> String? { Environment { variables[$0] }.cacheFolder }
        #expect(folder([:]) == nil)
        #expect(folder(["HOME": "/home/me"]) == "/home/me/.cache/kiln")
        #expect(folder(["HOME": "/home/me", "XDG_CACHE_HOME": "/fast"]) == "/fast/kiln")
        #expect(folder(["HOME": "/home/me", "XDG_CACHE_HOME": "relative"]) == "/home/me/.cache/kiln")
        #expect(folder(["HOME": "/home/me", "KILN_CACHE": "/mine"]) == "/mine")
        #expect(folder(["HOME": "/home/me", "KILN_CACHE": "off"]) == nil)
        #expect(folder(["HOME": "/home/me", "KILN_CACHE": ""]) == "/home/me/.cache/kiln")
    }

    @Test func aBuildKnowsItself() {
        #expect(BuildIdentity.text?.hasPrefix("LLVM ") == true)
    }
}
