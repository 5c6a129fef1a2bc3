// Which schedules there are for which target, in order of preference.

/// The schedules of each kind of target.
enum ScheduleTable {
    /// For threads of the host: each work item of a launch is a thread's.
    static var host: [any Schedule.Type] { [
        TiledAttention.self, RowwiseAttention.self,
        DotProducts.self, SplitContraction.self, PackedContraction.self, SlidingWindows.self,
        RowReductions.self, ScanPlan.self, HostScatter.self, HostSort.self, Pointwise.self,
    ] }

    /// For GPUs: each work item is a thread block's, whose threads share memory.
    static var gpu: [any Schedule.Type] { [
        TensorCoreAttention.self, RowwiseAttention.self,
        HopperContraction.self, BlockContraction.self, ShortWindows.self, BlockDotProducts.self,
        BlockReductions.self, BlockScan.self, BlockScatter.self, BlockSort.self, BlockPointwise.self,
    ] }

    static func schedules(for target: Target) -> [any Schedule.Type] { target.gpu == nil ? host : gpu }
}
