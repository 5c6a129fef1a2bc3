// What the runtime keeps, as a whole: counted, given back, and ended. In: calls. Out: counts; no memory that is kept; no thread and no
// device of Kiln's, until the next call.
#include "../cuda/cuda.h"
#include "../threads/threads.h"

kiln_status kiln_shutdown(void) {
  kiln_process_check();
  if (kiln_shared()->is_inside_task()) return kiln_fail(KILN_BUSY, "the runtime can't be shut down from inside a kernel");
  kiln_devices_close();
  kiln_cuda_driver_reset();
  kiln_shared()->limit(1);
  kiln_buffer_trim();
  return KILN_OK;
}

kiln_buffer_statistics kiln_buffer_stats(void) {
  kiln_process_check();
  kiln_buffer_statistics now = kiln_buffer_counts();
  now.arenas = kiln_shared()->arena_bytes();
  return now;
}

void kiln_buffer_trim(void) {
  kiln_process_check();
  kiln_process_trim();
  kiln_shared()->trim();
}
