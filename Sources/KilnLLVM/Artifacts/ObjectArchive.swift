// Objects as one archive in memory, which the linker reads: objects in order come in, the bytes of an `ar` file go out.

enum ObjectArchive {
    /// Members are named by their numbers. No times, no owners: the same objects give the same bytes.
    static func bytes(_ objects: [[UInt8]]) -> [UInt8] {
        var archive = Array("!<arch>\n".utf8)
        archive.reserveCapacity(objects.reduce(8) { $0 + 61 + $1.count })
        for (number, object) in objects.enumerated() {
            // Name, time, owner, group, mode and size, each filled up with spaces.
            for (text, width) in [("\(number)/", 16), ("0", 12), ("0", 6), ("0", 6), ("644", 8), ("\(object.count)", 10)] {
                archive += Array(text.utf8)
                archive += [UInt8](repeating: 0x20, count: width - text.utf8.count)
            }
            archive += [0x60, 0x0A]
            archive += object
            if object.count % 2 == 1 { archive.append(0x0A) }
        }
        return archive
    }
}
