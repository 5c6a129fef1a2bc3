// What a library of these tests exports.
#ifndef SHARED_LIBRARY_H
#define SHARED_LIBRARY_H

#include "kiln.h"

typedef struct {
  kiln_status (*run)(const double *x, double *y, int64_t n); ///< y = 3 x, on all threads
  kiln_status (*set_threads)(int64_t count);
  int64_t (*threads)(void);
  const char *(*last_error)(void);
  kiln_status (*shutdown)(void);
  kiln_buffer_statistics (*buffer_stats)(void);
  void (*pretend_cores)(int64_t count);
  int (*is_serving)(void); ///< whether it uses its own services
} shared_library;

#endif
