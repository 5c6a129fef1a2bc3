// Status codes and the text of the last error. In: a status and a printf format. Out: the thread's text.
#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// A fixed size, because an error may be that there is no memory.
static _Thread_local char last_error[KILN_ERROR_BYTES];

kiln_status kiln_fail(kiln_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

const char *kiln_last_error(void) { return last_error; }

void kiln_error_save(char text[KILN_ERROR_BYTES]) { memcpy(text, last_error, sizeof last_error); }
void kiln_error_restore(const char text[KILN_ERROR_BYTES]) { memcpy(last_error, text, sizeof last_error); }

const char *kiln_status_name(kiln_status status) {
  switch (status) {
  case KILN_OK: return "ok";
  case KILN_NULL_ARGUMENT: return "null argument";
  case KILN_INCOMPATIBLE_ABI: return "incompatible ABI";
  case KILN_WRONG_COUNT: return "wrong count";
  case KILN_WRONG_DTYPE: return "wrong dtype";
  case KILN_WRONG_RANK: return "wrong rank";
  case KILN_WRONG_SHAPE: return "wrong shape";
  case KILN_UNBOUND_SYMBOL: return "unbound symbol";
  case KILN_EVALUATION_FAILED: return "evaluation failed";
  case KILN_MISALIGNED: return "misaligned";
  case KILN_OVERLAP: return "overlap";
  case KILN_CHECK_FAILED: return "check failed";
  case KILN_OUT_OF_MEMORY: return "out of memory";
  case KILN_OUT_OF_RANGE: return "out of range";
  case KILN_BUSY: return "busy";
  case KILN_MALFORMED_PROGRAM: return "malformed program";
  case KILN_NO_DEVICE: return "no device";
  case KILN_DEVICE_FAILED: return "device failed";
  case KILN_UNSUPPORTED_CPU: return "unsupported CPU";
  case KILN_INDEX_OUT_OF_RANGE: return "index out of range";
  }
  return "unknown status";
}
