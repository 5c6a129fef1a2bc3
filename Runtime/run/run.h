// What the files that run programs share: where a call goes.
#ifndef KILN_RUN_H
#define KILN_RUN_H

#include "../base/base.h"

// device_run.c -----------------------------------------------------------------------------------------------------------

/// Where kiln_run runs a program: a GPU, or the CPU where it is null.
kiln_status kiln_place_of(const kiln_program_info *program, kiln_device **device_out);

/// Runs a program on checked arguments that are on the host.
kiln_status kiln_device_run(kiln_device *device, const kiln_program_info *program, const kiln_tensor *inputs,
                            const kiln_tensor *outputs, int64_t *symbols);

#endif
