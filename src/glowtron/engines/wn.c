/* The layers of a WN, in the best instructions that this processor has: `glowtron.engines.cpu_wn_native` calls this.
 *
 * `wn_level.c` is compiled once for each level, with HAS_ and its name defined here for those that the compiler knew.
 */
#include "wn.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* The levels that were compiled, from the least to the best, and whether this processor has them. */
#define LEVELS(of)                                                                                                    \
    of(plain) of(dotprod) of(avx2) of(avxvnni) of(avx512) of(avx512vnni) of(avx512bf16) of(amx)
#define DECLARED(name) extern const Level glowtron_level_##name __attribute__((weak));
LEVELS(DECLARED)

#if defined(__x86_64__)
static uint64_t enabled_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* The system keeps the 8 kB of tiles for those processes only that ask for it. */
static int may_use_tiles(void) {
#ifdef __linux__
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return 0;
#endif
}

static int has(const char *name) {
    uint32_t a, b, c, d, b7, c7, d7, a71 = 0, unused;
    if (!strcmp(name, "plain")) return 1;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1) || !(c >> 12 & 1)) return 0; /* OSXSAVE, FMA */
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return 0;
    if (a) __get_cpuid_count(7, 1, &a71, &unused, &unused, &unused);
    uint64_t state = enabled_state();
    int avx2 = (b7 >> 5 & 1) && (state & 6) == 6;
    int avx512 = avx2 && (state & 0xe6) == 0xe6 && (b7 >> 16 & 1) && (b7 >> 17 & 1) && (b7 >> 30 & 1) && (b7 >> 31 & 1);
    if (!strcmp(name, "avx2")) return avx2;
    if (!strcmp(name, "avxvnni")) return avx2 && (a71 >> 4 & 1);
    if (!strcmp(name, "avx512")) return avx512;
    if (!strcmp(name, "avx512vnni")) return avx512 && (c7 >> 11 & 1);
    if (!strcmp(name, "avx512bf16")) return avx512 && (a71 >> 5 & 1);
    if (!strcmp(name, "amx")) {
        int tiles = (d7 >> 22 & 1) && (d7 >> 24 & 1) && (d7 >> 25 & 1); /* AMX-BF16, AMX-TILE, AMX-INT8 */
        return avx512 && tiles && (state >> 17 & 3) == 3 && may_use_tiles();
    }
    return 0;
}
#else
static int has(const char *name) {
    if (!strcmp(name, "plain")) return 1;
#if defined(__aarch64__) && defined(__APPLE__)
    return !strcmp(name, "dotprod");
#elif defined(__aarch64__) && defined(__linux__)
    return !strcmp(name, "dotprod") && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return 0;
#endif
}
#endif

/* The level of that name; NULL where it was not compiled or this processor lacks it. */
const Level *glowtron_wn_level(const char *name) {
#define FOUND(level)                                                                                                  \
    if (!strcmp(name, #level) && &glowtron_level_##level && EMULATED_OR(has(name))) return &glowtron_level_##level;
#ifdef EMULATED
#define EMULATED_OR(x) 1
#else
#define EMULATED_OR(x) (x)
#endif
    LEVELS(FOUND)
    return NULL;
}

/* So that a caller built for another layout finds out. */
int32_t glowtron_wn_layout(void) { return sizeof(Net) + 1000 * sizeof(Call) + 1000000 * sizeof(Layer); }
int32_t glowtron_steps_layout(void) { return sizeof(Recurrence); }
