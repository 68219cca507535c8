/* Steps of Tacotron 2's decoder for a few texts. `glowtron.engines.kernel_run` calls this, `glowtron.engines.torch_run` does
 * the same with torch where this could not be compiled.
 *
 * The weights of the LSTMs are what a step waits for, so each is read once for all texts; everything else is little,
 * and stays in the cache. Plain C with OpenMP, laid out by the compiler for what several generations of processors can
 * do.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAS_LEVELS
#include <immintrin.h>
#endif

enum { FLOAT32, BFLOAT16, INT8 };
enum { ANY, AVX2, VNNI, BF16 };

#define MOST 32512.0f /* The low byte, rounded, can still be added without reaching 2 to the 15. */

/* Sixteen numbers, anywhere in memory, whatever else they are seen as. */
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));

/* Weights (n_out, n_in), row by row. Letters as in decoder_weights.py: B texts, N symbols, E, A, C, D, P. */
typedef struct {
    const void *weight;
    const float *bias;
    const float *scale; /* Of each output, and */
    const int32_t *sum; /* the sum of its weights: of INT8 only. */
    int32_t n_in, n_out, kind;
} Matrix;

/* Where a text is being read; see `glowtron.engines.monotonic`. */
typedef struct {
    double survival;
    int32_t symbol, dwelt, n_symbols;
} Place;

/* Where the threads of a run wait for each other. */
typedef struct {
    int32_t arrived, n_meetings, asleep;
} Meeting;

typedef struct {
    int32_t n_texts, n_symbols, prenet, attention, context, decoder, n_mels, taps, width, reach, n_threads, level;
    float stop_threshold; /* A logit, where the attention is not monotonic. */
    Matrix first, second, attention_rnn, query, decoder_rnn, projection;
    const float *location; /* (taps, E), taps of the last and the cumulative weights in turns */
    const float *energy;   /* (E,) */
    const float *keys;     /* (B, N, E) */
    const float *values;   /* (B, N, C) */
    const uint8_t *mask;   /* (B, N), whether a symbol is real */
    Place *places;         /* (B,), or NULL where the attention is not monotonic */
    const double *longest; /* (B, N), steps after which a symbol is left whatever the network says */
    const uint8_t *speaking; /* (B,), whether it counts when a text ends */
    uint8_t *ended;        /* (B,), whether it did with the last step */
    float *row;            /* (B, P + A + C + D) */
    float *history;        /* (B, N + taps / 2 - 1, 2): last and cumulative weights, zeros around them */
    float *attention_c;    /* (B, A) */
    float *decoder_c;      /* (B, D) */
    float *hidden;         /* (B, P) */
    float *gates;          /* (B, 4 max(A, D)) */
    float *compared;       /* (B, E) */
    float *energies;       /* (B, N) */
    float *largest;        /* (B,) */
    uint8_t *low, *high;   /* (B, most inputs of an LSTM): a row in sixteen bits, by bytes */
    uint16_t *halves;      /* (B, the same): a row in BFLOAT16 */
    Meeting *meeting;      /* Of `take` itself. */
} Step;

#ifdef _OPENMP
static inline void relax(void) {
#ifdef HAS_LEVELS
    __builtin_ia32_pause();
#endif
}

/* Where a thread cannot sleep for a number to change, it looks at it all the time. */
static void sleep_while(const int32_t *number, int32_t is) {
#ifdef __linux__
    syscall(SYS_futex, number, FUTEX_WAIT_PRIVATE, is, NULL, NULL, 0);
#else
    (void)number, (void)is;
    relax();
#endif
}

static void wake(const int32_t *number) {
#ifdef __linux__
    syscall(SYS_futex, number, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
    (void)number;
#endif
}
#endif

/* Go on when all threads are here. OpenMP's own barrier spins for milliseconds, for which a thread that shares its core
 * with another one, of this program or of another, keeps that one from arriving; here it soon sleeps until it is woken. */
static void meet(const Step *s) {
#ifdef _OPENMP
    enum { PATIENCE = 2000 }; /* Some fifty microseconds; a matrix's halves differ by less. */
    int n_threads = omp_get_num_threads();
    if (n_threads == 1) return;
    Meeting *m = s->meeting;
    int32_t n_before = __atomic_load_n(&m->n_meetings, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&m->arrived, 1, __ATOMIC_ACQ_REL) == n_threads) {
        __atomic_store_n(&m->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&m->n_meetings, n_before + 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&m->asleep, __ATOMIC_SEQ_CST)) wake(&m->n_meetings);
        return;
    }
    for (int i = 0; i < PATIENCE; i++) {
        if (__atomic_load_n(&m->n_meetings, __ATOMIC_ACQUIRE) != n_before) return;
        relax();
    }
    __atomic_add_fetch(&m->asleep, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&m->n_meetings, __ATOMIC_SEQ_CST) == n_before) sleep_while(&m->n_meetings, n_before);
    __atomic_sub_fetch(&m->asleep, 1, __ATOMIC_SEQ_CST);
#else
    (void)s;
#endif
}

#define JOINED(name, level) name##_##level
#define FOR(name, level) JOINED(name, level)
#define FOR_LEVEL(name) FOR(name, LEVEL)

#define LEVEL any
#include "decoder_step.h"
#undef LEVEL

#ifdef HAS_LEVELS

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define LEVEL avx2
#include "decoder_step.h"
#undef LEVEL
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")
#define LEVEL vnni
#include "decoder_step.h"
#undef LEVEL
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,fma")
#define LEVEL bf16
#include "decoder_step.h"
#undef LEVEL
#pragma GCC pop_options
#endif

/* How many sets of instructions this processor has, of ANY, AVX2, VNNI, BF16. */
int32_t glowtron_n_levels(void) {
#ifdef HAS_LEVELS
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int vnni = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni");
    int bf16 = __builtin_cpu_supports("avx512bf16") != 0;
    return 1 + avx2 + (avx2 && vnni) + (avx2 && vnni && bf16);
#else
    return 1;
#endif
}

/* Take up to S steps, until a text ends that is still speaking. Returns how many.
 *
 * frames: (B, n_mels) to begin with, rows `stride_of_frames` apart; first_limits, second_limits: (S, B, P) for the
 * prenet's layers, 0 where dropout drops and more than any number where it keeps. Written: outputs (S, B, n_outputs),
 * frames and stop logit; alignment (S, B, N), zeros before. */
int32_t glowtron_take(const Step *s, int32_t n_steps, const float *frames, int32_t stride_of_frames,
                      const float *first_limits, const float *second_limits, float *outputs, float *alignment) {
#ifdef HAS_LEVELS
    if (s->level == BF16)
        return take_bf16(s, n_steps, frames, stride_of_frames, first_limits, second_limits, outputs, alignment);
    if (s->level == VNNI)
        return take_vnni(s, n_steps, frames, stride_of_frames, first_limits, second_limits, outputs, alignment);
    if (s->level == AVX2)
        return take_avx2(s, n_steps, frames, stride_of_frames, first_limits, second_limits, outputs, alignment);
#endif
    return take_any(s, n_steps, frames, stride_of_frames, first_limits, second_limits, outputs, alignment);
}

/* So that a caller built for another layout finds out. */
int32_t glowtron_size_of_step(void) { return sizeof(Step); }
