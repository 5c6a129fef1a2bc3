// What the processor can. In: its own description (cpuid), and which registers the system saves (XCR0): an extension whose registers are
// lost at a switch of threads is as good as none. Out: a bit for each extension of kiln_abi.h.
#include "base.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

_Atomic uint64_t kiln_cpu_override;

enum { EAX, EBX, ECX, EDX };

/// What of XCR0 must be set: the upper halves of 16 registers; and these, the masks, and the rest of 32 registers.
enum { NO_STATE = 0, YMM = 0x6, ZMM = 0xe6 };

/// Where cpuid tells of an extension.
static const struct {
  const char *name;
  uint32_t leaf, subleaf;
  int word, bit, state;
} features[] = {
    [KILN_CPU_SSE3] = {"sse3", 1, 0, ECX, 0, NO_STATE},
    [KILN_CPU_SSSE3] = {"ssse3", 1, 0, ECX, 9, NO_STATE},
    [KILN_CPU_SSE4_1] = {"sse4.1", 1, 0, ECX, 19, NO_STATE},
    [KILN_CPU_SSE4_2] = {"sse4.2", 1, 0, ECX, 20, NO_STATE},
    [KILN_CPU_POPCNT] = {"popcnt", 1, 0, ECX, 23, NO_STATE},
    [KILN_CPU_CX16] = {"cx16", 1, 0, ECX, 13, NO_STATE},
    [KILN_CPU_MOVBE] = {"movbe", 1, 0, ECX, 22, NO_STATE},
    [KILN_CPU_LZCNT] = {"lzcnt", 0x80000001, 0, ECX, 5, NO_STATE},
    [KILN_CPU_BMI] = {"bmi", 7, 0, EBX, 3, NO_STATE},
    [KILN_CPU_BMI2] = {"bmi2", 7, 0, EBX, 8, NO_STATE},
    [KILN_CPU_AVX] = {"avx", 1, 0, ECX, 28, YMM},
    [KILN_CPU_F16C] = {"f16c", 1, 0, ECX, 29, YMM},
    [KILN_CPU_FMA] = {"fma", 1, 0, ECX, 12, YMM},
    [KILN_CPU_AVX2] = {"avx2", 7, 0, EBX, 5, YMM},
    [KILN_CPU_GFNI] = {"gfni", 7, 0, ECX, 8, NO_STATE},
    [KILN_CPU_AVXVNNI] = {"avxvnni", 7, 1, EAX, 4, YMM},
    [KILN_CPU_AVXIFMA] = {"avxifma", 7, 1, EAX, 23, YMM},
    [KILN_CPU_AVXNECONVERT] = {"avxneconvert", 7, 1, EDX, 5, YMM},
    [KILN_CPU_AVXVNNIINT8] = {"avxvnniint8", 7, 1, EDX, 4, YMM},
    [KILN_CPU_AVXVNNIINT16] = {"avxvnniint16", 7, 1, EDX, 10, YMM},
    [KILN_CPU_AVX512F] = {"avx512f", 7, 0, EBX, 16, ZMM},
    [KILN_CPU_AVX512CD] = {"avx512cd", 7, 0, EBX, 28, ZMM},
    [KILN_CPU_AVX512DQ] = {"avx512dq", 7, 0, EBX, 17, ZMM},
    [KILN_CPU_AVX512BW] = {"avx512bw", 7, 0, EBX, 30, ZMM},
    [KILN_CPU_AVX512VL] = {"avx512vl", 7, 0, EBX, 31, ZMM},
    [KILN_CPU_AVX512IFMA] = {"avx512ifma", 7, 0, EBX, 21, ZMM},
    [KILN_CPU_AVX512VBMI] = {"avx512vbmi", 7, 0, ECX, 1, ZMM},
    [KILN_CPU_AVX512VBMI2] = {"avx512vbmi2", 7, 0, ECX, 6, ZMM},
    [KILN_CPU_AVX512VNNI] = {"avx512vnni", 7, 0, ECX, 11, ZMM},
    [KILN_CPU_AVX512BITALG] = {"avx512bitalg", 7, 0, ECX, 12, ZMM},
    [KILN_CPU_AVX512VPOPCNTDQ] = {"avx512vpopcntdq", 7, 0, ECX, 14, ZMM},
    [KILN_CPU_AVX512BF16] = {"avx512bf16", 7, 1, EAX, 5, ZMM},
    [KILN_CPU_AVX512FP16] = {"avx512fp16", 7, 0, EDX, 23, ZMM},
    [KILN_CPU_SSE4A] = {"sse4a", 0x80000001, 0, ECX, 6, NO_STATE},
    [KILN_CPU_XOP] = {"xop", 0x80000001, 0, ECX, 11, YMM},
    [KILN_CPU_FMA4] = {"fma4", 0x80000001, 0, ECX, 16, YMM},
    [KILN_CPU_TBM] = {"tbm", 0x80000001, 0, ECX, 21, NO_STATE},
};
enum { FEATURES = sizeof features / sizeof *features };

const char *kiln_cpu_feature_name(int64_t code) { return code >= 0 && code < FEATURES ? features[code].name : NULL; }

#if defined(__x86_64__)

/// The extended control register that says what the system saves; 0 where it can't be asked for.
static uint64_t saved_state(void) {
  enum { OSXSAVE = 27 };
  uint32_t words[4];
  if (!__get_cpuid_count(1, 0, &words[EAX], &words[EBX], &words[ECX], &words[EDX]) || (words[ECX] >> OSXSAVE & 1) == 0) return 0;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static uint64_t detect(void) {
  uint64_t found = 0, state = saved_state();
  uint32_t words[4], leaf = 0, subleaf = 0;
  bool is_there = false;
  for (int code = 0; code < FEATURES; code++) {
    if (features[code].leaf != leaf || features[code].subleaf != subleaf) {
      leaf = features[code].leaf;
      subleaf = features[code].subleaf;
      is_there = __get_cpuid_count(leaf, subleaf, &words[EAX], &words[EBX], &words[ECX], &words[EDX]) != 0;
    }
    uint64_t needed = (uint64_t)features[code].state;
    if (is_there && (words[features[code].word] >> features[code].bit & 1) != 0 && (state & needed) == needed)
      found |= (uint64_t)1 << code;
  }
  return found;
}

#else

static uint64_t detect(void) { return 0; }

#endif

uint64_t kiln_cpu_detected(void) {
  static _Atomic uint64_t known; // 0: not asked yet
  uint64_t override = atomic_load_explicit(&kiln_cpu_override, memory_order_relaxed);
  uint64_t now = override != 0 ? override : atomic_load_explicit(&known, memory_order_relaxed);
  if (now == 0) atomic_store_explicit(&known, now = detect() | KILN_CPU_KNOWN, memory_order_relaxed);
  return now & ~KILN_CPU_KNOWN;
}
