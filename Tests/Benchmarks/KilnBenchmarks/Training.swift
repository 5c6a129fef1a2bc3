// Training steps: forward, backward and optimizer, written as a user would.

enum Training {
    static let all: [String: any Workload] = [:]
}
