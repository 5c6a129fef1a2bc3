// Programs for the driver of fake_cuda.h, as the compiler would emit them. In: nothing. Out: tables that several tests change and run.
#ifndef GPU_PROGRAMS_H
#define GPU_PROGRAMS_H

#include "check.h"
#include "fake_cuda.h"
#include "programs.h"

extern fake_cuda *fake;

#define PTX_TEXT(version, target) ".version " version " .target sm_" target
#define PTX_IMAGE(version, target) {KILN_IMAGE_PTX, 0, PTX_TEXT(version, target), sizeof PTX_TEXT(version, target)}
#define MACHINE_TEXT(target) "\177ELF sm_" target
#define MACHINE_IMAGE(target) {KILN_IMAGE_MACHINE, 0, MACHINE_TEXT(target), sizeof MACHINE_TEXT(target)}

/// `affine` of programs.h with code for GPUs: four kernels, a constant and an arena; fails its check where x[0] < 0, if
/// KILN_DEVICE_BRANCHES is among the flags of `affine_codes[0]`, which a test may set.
extern kiln_device_program affine_codes[1];
extern kiln_program_info gpu_affine;

/// A checked call of `gpu_affine`, or of a program of the same type, on the host's data.
kiln_status run_affine_program(const kiln_program_info *program, const double *x, double *y, int64_t n);

/// Whether kiln_run gives the right result, once.
int affine_is_right(const kiln_program_info *program, int64_t n);

/// Registers the kernels; once.
void add_gpu_kernels(void);

/// Shuts the runtime down, checks that nothing is left on the GPU and that no call was wrong, and sets all back.
void expect_clean(void);

void test_gpu_calls(void);
void test_gpu_memory(void);
void test_gpu_modules(void);
void test_gpu_graphs(void);
void test_gpu_failures(void);
void test_gpu_threads(void);
void test_gpu_fork(void);

#endif
