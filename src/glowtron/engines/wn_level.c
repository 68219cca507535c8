/* The layers of a WN in the instructions of one LEVEL; compiled once for each, with its flags.
 *
 * A block of rows stays in the cache through conditioning, dilated taps, gate, residual and skip; weights stream past
 * it. The threads share the blocks of a layer and meet behind it, as the next one looks at the rows beside its own.
 */
#include <math.h>
#include <string.h>

#include "wn.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(EMULATED)
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx2.h>
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#elif defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

#define JOINED(a, b) a##b
#define NAMED(a, b) JOINED(a, b)
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

/* ROWS of activations and two vectors of outputs are a tile: as many sums as there are registers for. A block of rows,
 * of which it has BLOCK_ROWS or several times as many, takes CACHE_WORDS of a second cache. */
#if defined(WIDE) && defined(HAS_AMX)
enum { LANES = 16, ROWS = 12, BLOCK_ROWS = 32, CACHE_WORDS = 1 << 18 };
#elif defined(WIDE)
enum { LANES = 16, ROWS = 12, BLOCK_ROWS = ROWS, CACHE_WORDS = 1 << 16 };
#elif defined(MIDDLE)
enum { LANES = 8, ROWS = 6, BLOCK_ROWS = ROWS, CACHE_WORDS = 1 << 16 };
#else
enum { LANES = 4, ROWS = 6, BLOCK_ROWS = ROWS, CACHE_WORDS = 1 << 16 };
#endif
enum { SOME_ROWS = 4, PANEL = 2 * LANES, CHUNK = 256 };

typedef float Floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t Shorts __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

INLINE Floats floats_of(float x) { return x - (Floats){0}; }
INLINE Ints ints_of(uint32_t x) { return (int32_t)x - (Ints){0}; }

/* What the levels have of their own: sums of products of the numbers in two words, or, with AMX, in whole tiles. */
#if defined(WIDE) && defined(HAS_AMX)
enum { KINDS = 1 << BFLOAT16 | 1 << INT8, ZERO = 0, MOST = 127, MOST_WEIGHT = 127 };
#elif defined(WIDE) && defined(HAS_VNNI)
enum { KINDS = 1 << FLOAT32 | 1 << INT16 | 1 << INT8, ZERO = 128, MOST = 127, MOST_WEIGHT = 127 };
INLINE Ints dot_int16(Ints sum, Ints a, Ints w) { return (Ints)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)w); }
INLINE Ints dot_int8(Ints sum, Ints a, Ints w, Ints b, Ints v) {
    sum = (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)w);
    return (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)b, (__m512i)v);
}
#elif defined(WIDE) && defined(HAS_BF16)
enum { KINDS = 1 << FLOAT32 | 1 << BFLOAT16, ZERO = 0, MOST = 127, MOST_WEIGHT = 127 };
INLINE Floats dot_bfloat16(Floats sum, Ints a, Ints w) {
    return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)w);
}
#elif defined(WIDE)
enum { KINDS = 1 << FLOAT32, ZERO = 0, MOST = 127, MOST_WEIGHT = 127 };
#elif defined(MIDDLE) && defined(HAS_VNNI)
enum { KINDS = 1 << FLOAT32 | 1 << INT16 | 1 << INT8, ZERO = 128, MOST = 127, MOST_WEIGHT = 127 };
#if defined(EMULATED) || defined(__AVX512VNNI__)
#define _mm256_dpbusd_avx_epi32 _mm256_dpbusd_epi32
#define _mm256_dpwssd_avx_epi32 _mm256_dpwssd_epi32
#endif
INLINE Ints dot_int16(Ints sum, Ints a, Ints w) {
    return (Ints)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)w);
}
INLINE Ints dot_int8(Ints sum, Ints a, Ints w, Ints b, Ints v) {
    sum = (Ints)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)w);
    return (Ints)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)b, (__m256i)v);
}
#elif defined(MIDDLE)
/* Pairs of products of bytes are added in sixteen bits: 2 * 127 * 127 fits, so activations have seven. */
enum { KINDS = 1 << FLOAT32 | 1 << INT16 | 1 << INT8, ZERO = 64, MOST = 63, MOST_WEIGHT = 127 };
INLINE Ints dot_int16(Ints sum, Ints a, Ints w) {
    return sum + (Ints)_mm256_madd_epi16((__m256i)a, (__m256i)w);
}
INLINE Ints dot_int8(Ints sum, Ints a, Ints w, Ints b, Ints v) {
    const __m256i ones = _mm256_set1_epi16(1);
    sum += (Ints)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)a, (__m256i)w), ones);
    return sum + (Ints)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)b, (__m256i)v), ones);
}
#elif defined(__ARM_FEATURE_DOTPROD)
enum { KINDS = 1 << FLOAT32 | 1 << INT8, ZERO = 0, MOST = 127, MOST_WEIGHT = 127 };
INLINE Ints dot_int8(Ints sum, Ints a, Ints w, Ints b, Ints v) {
    sum = (Ints)vdotq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)w);
    return (Ints)vdotq_s32((int32x4_t)sum, (int8x16_t)b, (int8x16_t)v);
}
#define HAS_INT8
#else
enum { KINDS = 1 << FLOAT32, ZERO = 0, MOST = 127, MOST_WEIGHT = 127 };
#endif
#if defined(MIDDLE) || defined(HAS_VNNI)
#define HAS_INT8
#define HAS_INT16
#endif
enum { COMPILED = KINDS | 1 << FLOAT32 }; /* What enters a net is float32, whatever the kind. */
enum { MOST_INT16 = 8191 }; /* With which weights are scaled so that no sum leaves 32 bits. */

/* What a level does not multiply it is never asked for (`Level.kinds`). */
#ifndef HAS_INT8
INLINE Ints dot_int8(Ints sum, Ints a, Ints w, Ints b, Ints v) { return (void)a, (void)w, (void)b, (void)v, sum; }
#endif
#ifndef HAS_INT16
INLINE Ints dot_int16(Ints sum, Ints a, Ints w) { return (void)a, (void)w, sum; }
#endif
#if !(defined(WIDE) && defined(HAS_BF16))
INLINE Floats dot_bfloat16(Floats sum, Ints a, Ints w) { return (void)a, (void)w, sum; }
#endif

/* One tile: the products of some rows with a panel, added to `total`. `ahead`: how many words before they are needed
 * weights are asked for, where they are in no cache yet; else 0. */
INLINE void multiply_tile(const int kind, const int n_rows, const int ahead, const uint32_t *rows, int64_t stride,
                          const uint32_t *panel, int n_words, int row_words, const float *scale, const int32_t *zero,
                          float *total) {
    if (kind == FLOAT32 || kind == BFLOAT16) {
        Floats sums[ROWS][2];
        UNROLLED for (int r = 0; r < n_rows; r++) {
            sums[r][0] = *(const Floats *)(total + r * PANEL);
            sums[r][1] = *(const Floats *)(total + r * PANEL + LANES);
        }
        for (int k = 0; k < n_words; k++, panel += PANEL) {
            if (kind == FLOAT32) {
                if (ahead) __builtin_prefetch(panel + ahead * PANEL);
                if (ahead && PANEL > 16) __builtin_prefetch(panel + ahead * PANEL + 16);
                Floats first = *(const Floats *)panel, second = *(const Floats *)(panel + LANES);
                UNROLLED for (int r = 0; r < n_rows; r++) {
                    float number;
                    memcpy(&number, rows + r * stride + k, sizeof number);
                    Floats x = floats_of(number);
                    sums[r][0] += x * first;
                    sums[r][1] += x * second;
                }
            } else {
                Ints first = *(const Ints *)panel, second = *(const Ints *)(panel + LANES);
                UNROLLED for (int r = 0; r < n_rows; r++) {
                    Ints x = ints_of(rows[r * stride + k]);
                    sums[r][0] = dot_bfloat16(sums[r][0], x, first);
                    sums[r][1] = dot_bfloat16(sums[r][1], x, second);
                }
            }
        }
        UNROLLED for (int r = 0; r < n_rows; r++) {
            *(Floats *)(total + r * PANEL) = sums[r][0];
            *(Floats *)(total + r * PANEL + LANES) = sums[r][1];
        }
        return;
    }
    Ints sums[ROWS][2];
    UNROLLED for (int r = 0; r < n_rows; r++) {
        sums[r][0] = *(const Ints *)zero;
        sums[r][1] = *(const Ints *)(zero + LANES);
    }
    for (int k = 0; k < n_words; k += 2, panel += 2 * PANEL) {
        const Ints *w = (const Ints *)panel;
        UNROLLED for (int r = 0; r < n_rows; r++) {
            Ints x = ints_of(rows[r * stride + k]), y = ints_of(rows[r * stride + k + 1]);
            if (kind == INT8) {
                sums[r][0] = dot_int8(sums[r][0], x, w[0], y, w[2]);
                sums[r][1] = dot_int8(sums[r][1], x, w[1], y, w[3]);
            } else {
                sums[r][0] = dot_int16(dot_int16(sums[r][0], x, w[0]), y, w[2]);
                sums[r][1] = dot_int16(dot_int16(sums[r][1], x, w[1]), y, w[3]);
            }
        }
    }
    Floats first = *(const Floats *)scale, second = *(const Floats *)(scale + LANES);
    UNROLLED for (int r = 0; r < n_rows; r++) {
        float of_row;
        memcpy(&of_row, rows + r * stride + row_words, sizeof of_row);
        Floats *out = (Floats *)(total + r * PANEL);
        out[0] += __builtin_convertvector(sums[r][0], Floats) * (first * floats_of(of_row));
        out[1] += __builtin_convertvector(sums[r][1], Floats) * (second * floats_of(of_row));
    }
}

#ifdef HAS_AMX
/* A tile register holds sixteen rows of sixteen words: of activations as they lie, and of one half of a panel. */
enum { TILE = 16, TILE_BYTES = 64, PANEL_BYTES = 4 * PANEL };

static void begin_tiles(void) {
    struct {
        uint8_t palette, first_row, unused[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = TILE_BYTES;
        config.rows[i] = TILE;
    }
    _tile_loadconfig(&config);
}

static void end_tiles(void) { _tile_release(); }

/* A word's column of `n` rows, whole: the rows themselves, or a copy of so few with zeros behind them. */
INLINE const uint32_t *whole_tile(const uint32_t *rows, int64_t stride, int n, uint32_t *copy) {
    if (n >= TILE) return rows;
    for (int r = 0; r < n; r++) memcpy(copy + r * TILE, rows + r * stride, TILE_BYTES);
    return copy;
}

/* Registers 0 to 3 are sums of two tiles of rows (4, 5) and both halves of the panel (6, 7). */
#define MULTIPLY_TILES(multiply)                                                                                      \
    for (int k = 0; k < n_words; k += TILE) {                                                                         \
        _tile_loadd(6, weight + (int64_t)k * PANEL, PANEL_BYTES);                                                     \
        _tile_loadd(7, weight + (int64_t)k * PANEL + LANES, PANEL_BYTES);                                             \
        _tile_loadd(4, whole_tile(x + k, stride, n, copies[0]), n < TILE ? TILE_BYTES : 4 * stride);                  \
        multiply(0, 4, 6);                                                                                            \
        multiply(1, 4, 7);                                                                                            \
        if (n > TILE) {                                                                                               \
            const uint32_t *second = whole_tile(x + TILE * stride + k, stride, n - TILE, copies[1]);                  \
            _tile_loadd(5, second, n < 2 * TILE ? TILE_BYTES : 4 * stride);                                           \
            multiply(2, 5, 6);                                                                                        \
            multiply(3, 5, 7);                                                                                        \
        }                                                                                                             \
    }

/* As `multiply_kind`, of words in whole tiles. Of `total` rows up to the next whole BLOCK_ROWS are written. */
INLINE void multiply_by_tiles(const int kind, const uint32_t *rows, int64_t stride, int n_rows,
                              const uint32_t *weight, int n_words, const float *scale, float *total) {
    for (int first = 0; first < n_rows; first += 2 * TILE) {
        const uint32_t *x = rows + first * stride;
        int n = n_rows - first < 2 * TILE ? n_rows - first : 2 * TILE;
        uint32_t copies[2][TILE * TILE] = {{0}};
        float *out = total + first * PANEL;
        if (kind == BFLOAT16) {
            _tile_loadd(0, out, PANEL_BYTES);
            _tile_loadd(1, out + LANES, PANEL_BYTES);
            _tile_loadd(2, out + TILE * PANEL, PANEL_BYTES);
            _tile_loadd(3, out + TILE * PANEL + LANES, PANEL_BYTES);
            MULTIPLY_TILES(_tile_dpbf16ps)
            _tile_stored(0, out, PANEL_BYTES);
            _tile_stored(1, out + LANES, PANEL_BYTES);
            _tile_stored(2, out + TILE * PANEL, PANEL_BYTES);
            _tile_stored(3, out + TILE * PANEL + LANES, PANEL_BYTES);
            continue;
        }
        int32_t sums[2 * TILE * PANEL];
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        MULTIPLY_TILES(_tile_dpbssd)
        _tile_stored(0, sums, PANEL_BYTES);
        _tile_stored(1, sums + LANES, PANEL_BYTES);
        _tile_stored(2, sums + TILE * PANEL, PANEL_BYTES);
        _tile_stored(3, sums + TILE * PANEL + LANES, PANEL_BYTES);
        Floats low = *(const Floats *)scale, high = *(const Floats *)(scale + LANES);
        for (int r = 0; r < n; r++) {
            float of_row;
            memcpy(&of_row, x + r * stride + n_words, sizeof of_row);
            const Ints *sum = (const Ints *)(sums + r * PANEL);
            Floats *row = (Floats *)(out + r * PANEL);
            row[0] += __builtin_convertvector(sum[0], Floats) * (low * floats_of(of_row));
            row[1] += __builtin_convertvector(sum[1], Floats) * (high * floats_of(of_row));
        }
    }
}
#else
static void begin_tiles(void) {}
static void end_tiles(void) {}
#endif

/* total (R, PANEL) += rows (R, words) times one panel of a matrix. Floats go in chunks whose weights fit the inner
 * cache; integers go whole, as only their sums are exact. */
INLINE void multiply_kind(const int kind, const uint32_t *rows, int64_t stride, int n_rows, const Matrix *matrix,
                          int panel, float *total) {
    if (!(COMPILED >> kind & 1)) return;
    const uint32_t *weight = matrix->weight + (int64_t)panel * PANEL * matrix->n_words;
    const float *scale = matrix->scale + panel * PANEL;
#ifdef HAS_AMX
    if (kind != FLOAT32) {
        multiply_by_tiles(kind, rows, stride, n_rows, weight, matrix->n_words, scale, total);
        return;
    }
#endif
    const int32_t *zero = matrix->zero + panel * PANEL;
    int n_words = matrix->n_words, chunk = kind == FLOAT32 || kind == BFLOAT16 ? CHUNK : n_words;
    for (int k = 0; k < n_words; k += chunk) {
        int n = n_words - k < chunk ? n_words - k : chunk, r = 0;
        const uint32_t *part = weight + (int64_t)k * PANEL, *x = rows + k;
        for (; r + ROWS <= n_rows; r += ROWS)
            multiply_tile(kind, ROWS, 0, x + r * stride, stride, part, n, n_words, scale, zero, total + r * PANEL);
        for (; r + SOME_ROWS <= n_rows; r += SOME_ROWS)
            multiply_tile(kind, SOME_ROWS, 0, x + r * stride, stride, part, n, n_words, scale, zero, total + r * PANEL);
        for (; r < n_rows; r++)
            multiply_tile(kind, 1, 0, x + r * stride, stride, part, n, n_words, scale, zero, total + r * PANEL);
    }
}

/* Each kind is compiled once, and no loop asks for it. */
#define DEFINE_MULTIPLY(name, kind)                                                                                   \
    static __attribute__((noinline)) void name(const uint32_t *rows, int64_t stride, int n_rows,                      \
                                               const Matrix *matrix, int panel, float *total) {                       \
        multiply_kind(kind, rows, stride, n_rows, matrix, panel, total);                                              \
    }
DEFINE_MULTIPLY(multiply_float32, FLOAT32)
DEFINE_MULTIPLY(multiply_bfloat16, BFLOAT16)
DEFINE_MULTIPLY(multiply_int16, INT16)
DEFINE_MULTIPLY(multiply_int8, INT8)

INLINE void multiply(const int kind, const uint32_t *rows, int64_t stride, int n_rows, const Matrix *matrix, int panel,
                     float *total) {
    if (kind == INT8) multiply_int8(rows, stride, n_rows, matrix, panel, total);
    else if (kind == INT16) multiply_int16(rows, stride, n_rows, matrix, panel, total);
    else if (kind == BFLOAT16) multiply_bfloat16(rows, stride, n_rows, matrix, panel, total);
    else multiply_float32(rows, stride, n_rows, matrix, panel, total);
}

/* e to the x, for |x| < 80, as two numbers: its power of two, and how much more than that it is, as a share. */
INLINE Floats power_and_more(Floats x, Floats *more) {
    const Floats magic = floats_of(12582912.0f); /* 1.5 * 2^23, whose last bit counts one: rounds what is added. */
    Floats shifted = x * 1.44269504f + magic, whole = shifted - magic;
    Floats rest = x - whole * 0.693145752f - whole * 1.42860677e-6f; /* ln 2 in two parts, the first of few bits. */
    Floats sum = rest * (1.0f / 5040) + 1.0f / 720;
    sum = sum * rest + 1.0f / 120;
    sum = sum * rest + 1.0f / 24;
    sum = sum * rest + 1.0f / 6;
    sum = sum * rest + 0.5f;
    sum = sum * rest + 1.0f;
    *more = sum * rest;
    return (Floats)((((Ints)shifted - (Ints)magic) + 127) << 23);
}

/* e to the x, to 2e-7 of itself, for |x| < 80. */
INLINE Floats exponential(Floats x) {
    Floats more, power = power_and_more(x, &more);
    return (more + 1.0f) * power;
}

INLINE Floats lesser(Floats x, Floats y) {
    Ints is = x < y;
    return (Floats)(((Ints)x & is) | ((Ints)y & ~is));
}

INLINE Floats greater(Floats x, Floats y) {
    Ints is = x > y;
    return (Floats)(((Ints)x & is) | ((Ints)y & ~is));
}

INLINE Floats clamped(Floats x, float bound) { return lesser(greater(x, floats_of(-bound)), floats_of(bound)); }

/* tanh(a) sigmoid(b), with one division. */
INLINE Floats gated(Floats a, Floats b) {
    Floats u = exponential(clamped(a, 20.0f) * -2.0f), v = exponential(-clamped(b, 40.0f));
    return (1.0f - u) / ((1.0f + u) * (1.0f + v));
}

INLINE float largest_of(const float *x, int n) {
    float most = 1e-20f;
    int k = 0;
    Floats parts = floats_of(most);
    for (; k + LANES <= n; k += LANES) {
        Floats y = *(const Floats *)(x + k);
        parts = greater(parts, (Floats)((Ints)y & 0x7fffffff));
    }
    for (int i = 0; i < LANES; i++) most = parts[i] > most ? parts[i] : most;
    for (; k < n; k++) most = fabsf(x[k]) > most ? fabsf(x[k]) : most;
    return most;
}

INLINE uint16_t bfloat16_of(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* One row of n numbers as its products want it, zeros behind them. */
INLINE void write_row(const int kind, const float *x, int n, int n_words, uint32_t *row) {
    float scale = 1.0f;
    int k = 0;
    const float magic = 12582912.0f;
    if (kind == FLOAT32) {
        if (row != (const uint32_t *)x) memcpy(row, x, n * sizeof *x);
        memset(row + n, 0, (n_words - n) * sizeof *row);
    } else if (kind == BFLOAT16) {
        uint16_t *out = (uint16_t *)row;
        for (; k + LANES <= n; k += LANES) {
            Ints bits = *(const Ints *)(x + k);
            bits += 0x7fff + ((bits >> 16) & 1);
            *(Shorts *)(out + k) = __builtin_convertvector((bits >> 16) & 0xffff, Shorts);
        }
        for (; k < n; k++) out[k] = bfloat16_of(x[k]);
        memset(out + n, 0, (2 * n_words - n) * sizeof *out);
    } else if (kind == INT16) {
        uint16_t *out = (uint16_t *)row;
        float most = largest_of(x, n), factor = MOST_INT16 / most;
        scale = most / MOST_INT16;
        for (; k + LANES <= n; k += LANES) {
            Ints number = (Ints)(*(const Floats *)(x + k) * factor + magic);
            *(Shorts *)(out + k) = __builtin_convertvector(number & 0xffff, Shorts);
        }
        for (; k < n; k++) out[k] = (uint16_t)(int16_t)lrintf(x[k] * factor);
        memset(out + n, 0, (2 * n_words - n) * sizeof *out);
    } else {
        uint8_t *out = (uint8_t *)row;
        float most = largest_of(x, n), factor = MOST / most;
        scale = most / MOST;
        for (; k + LANES <= n; k += LANES) {
            Ints number = (Ints)(*(const Floats *)(x + k) * factor + magic) + ZERO;
            *(Bytes *)(out + k) = __builtin_convertvector(number & 0xff, Bytes);
        }
        for (; k < n; k++) out[k] = (uint8_t)(lrintf(x[k] * factor) + ZERO);
        memset(out + n, ZERO, 4 * n_words - n);
    }
    memcpy(row + n_words, &scale, sizeof scale);
}

static void write_rows(int kind, const float *x, int64_t n_rows, int n, int n_words, uint32_t *rows) {
    for (int64_t r = 0; r < n_rows; r++, x += n, rows += n_words + 1) {
        if (kind == INT8) write_row(INT8, x, n, n_words, rows);
        else if (kind == INT16) write_row(INT16, x, n, n_words, rows);
        else if (kind == BFLOAT16) write_row(BFLOAT16, x, n, n_words, rows);
        else write_row(FLOAT32, x, n, n_words, rows);
    }
}

/* Rows of a block: what they read stays in the second cache beside the weights that stream past. */
static int block_rows(const Net *net) {
    int words = net->layers[0].condition.n_words + net->n_taps * net->layers[0].out.n_words + 2 * net->width;
    int n = CACHE_WORDS / words / BLOCK_ROWS * BLOCK_ROWS;
    return n < 2 * BLOCK_ROWS ? 2 * BLOCK_ROWS : n > 192 ? 192 / BLOCK_ROWS * BLOCK_ROWS : n;
}

static int64_t scratch_size(const Net *net) {
    return (int64_t)block_rows(net) * (PANEL + net->width + net->layers[0].out.n_words + 1) + PANEL;
}

INLINE void begin_panel(const float *bias, int n_rows, float *total) {
    Floats first = *(const Floats *)bias, second = *(const Floats *)(bias + LANES);
    for (int r = 0; r < n_rows; r++) {
        *(Floats *)(total + r * PANEL) = first;
        *(Floats *)(total + r * PANEL + LANES) = second;
    }
}

/* What the first layer sees. */
INLINE void start_block(const int kind, const Net *net, const Call *call, int first, int n_rows, float *total) {
    int width = net->width, n_words = net->layers[0].out.n_words;
    int64_t stride = n_words + 1, x_stride = net->start.n_words + 1;
    uint32_t *seen = call->seen[0] + (call->margin + first) * stride;
    float *hidden = kind == FLOAT32 ? (float *)seen : call->hidden + (int64_t)first * width;
    int64_t hidden_stride = kind == FLOAT32 ? stride : width;
    for (int panel = 0; panel < width / PANEL; panel++) {
        begin_panel(net->start_bias + panel * PANEL, n_rows, total);
        multiply(FLOAT32, call->x + first * x_stride, x_stride, n_rows, &net->start, panel, total);
        for (int r = 0; r < n_rows; r++)
            memcpy(hidden + r * hidden_stride + panel * PANEL, total + r * PANEL, PANEL * sizeof *total);
    }
    for (int r = 0; r < n_rows; r++)
        write_row(kind, hidden + r * hidden_stride, width, n_words, seen + r * stride);
}

/* One layer of one block. */
INLINE void layer_block(const int kind, const Net *net, const Call *call, int index, int first, int n_rows,
                        float *scratch) {
    const Layer *layer = net->layers + index;
    int width = net->width, n_words = layer->out.n_words;
    int64_t stride = n_words + 1, condition_stride = layer->condition.n_words + 1;
    const uint32_t *now = call->seen[index & 1] + (call->margin + first) * stride;
    uint32_t *then = call->seen[~index & 1] + (call->margin + first) * stride;
    const uint32_t *conditions = call->conditions + first * condition_stride;
    int n_block = block_rows(net);
    float *total = scratch, *gates = total + n_block * PANEL;
    uint32_t *gate_rows = (uint32_t *)(gates + n_block * width);

    for (int panel = 0; panel < width / LANES; panel++) {
        begin_panel(layer->bias + panel * PANEL, n_rows, total);
        multiply(kind, conditions, condition_stride, n_rows, &layer->condition, panel, total);
        for (int tap = 0; tap < net->n_taps; tap++) {
            int64_t shift = (int64_t)(tap - net->n_taps / 2) * layer->dilation * call->step;
            multiply(kind, now + shift * stride, stride, n_rows, layer->taps + tap, panel, total);
        }
        for (int r = 0; r < n_rows; r++) {
            const Floats *both = (const Floats *)(total + r * PANEL);
            *(Floats *)(gates + r * width + panel * LANES) = gated(both[0], both[1]);
        }
    }
    for (int r = 0; r < n_rows; r++) write_row(kind, gates + r * width, width, n_words, gate_rows + r * stride);

    int n_residual = layer->has_residual ? width / PANEL : 0, n_skip = net->n_skip;
    for (int panel = 0; panel < n_residual; panel++) {
        begin_panel(layer->out_bias + panel * PANEL, n_rows, total);
        multiply(kind, gate_rows, stride, n_rows, &layer->out, panel, total);
        for (int r = 0; r < n_rows; r++) {
            const Floats *more = (const Floats *)(total + r * PANEL);
            float *hidden = call->hidden + (int64_t)(first + r) * width;
            const Floats *old = (const Floats *)((kind == FLOAT32 ? (const float *)(now + r * stride) : hidden) +
                                                 panel * PANEL);
            Floats *new = (Floats *)((kind == FLOAT32 ? (float *)(then + r * stride) : hidden) + panel * PANEL);
            new[0] = old[0] + more[0];
            new[1] = old[1] + more[1];
        }
    }
    if (n_residual && kind != FLOAT32)
        for (int r = 0; r < n_rows; r++)
            write_row(kind, call->hidden + (int64_t)(first + r) * width, width, n_words, then + r * stride);
    for (int done = 0; done < n_skip; done += PANEL) {
        int panel = n_residual + done / PANEL, n = n_skip - done < PANEL ? n_skip - done : PANEL;
        begin_panel(layer->out_bias + panel * PANEL, n_rows, total);
        multiply(kind, gate_rows, stride, n_rows, &layer->out, panel, total);
        for (int r = 0; r < n_rows; r++) {
            float *skip = call->skip + (int64_t)(first + r) * n_skip + done;
            for (int i = 0; i < n; i++) skip[i] += total[r * PANEL + i];
        }
    }
}

#define DEFINE_RUN(name, kind)                                                                                        \
    static void name(const Net *net, const Call *call, int index, int first, int n_rows, float *scratch) {            \
        if (!(KINDS >> kind & 1)) return;                                                                             \
        if (index < 0) start_block(kind, net, call, first, n_rows, scratch);                                          \
        else layer_block(kind, net, call, index, first, n_rows, scratch);                                             \
    }
DEFINE_RUN(run_float32, FLOAT32)
DEFINE_RUN(run_bfloat16, BFLOAT16)
DEFINE_RUN(run_int16, INT16)
DEFINE_RUN(run_int8, INT8)

static void run(const Net *net, const Call *call) {
    void (*block)(const Net *, const Call *, int, int, int, float *) =
        net->kind == INT8 ? run_int8 : net->kind == INT16 ? run_int16 : net->kind == BFLOAT16 ? run_bfloat16 : run_float32;
    int n_block = block_rows(net), n_blocks = (call->n_rows + n_block - 1) / n_block;
    int64_t stride = net->layers[0].out.n_words + 1, around = call->margin * stride;
    /* What lies outside a sound is zero, and so is its scale. */
    for (int i = 0; i < 2; i++) {
        memset(call->seen[i], 0, around * sizeof **call->seen);
        memset(call->seen[i] + around + call->n_rows * stride, 0, around * sizeof **call->seen);
    }
#pragma omp parallel num_threads(call->n_threads) if (call->n_threads > 1)
    {
#ifdef _OPENMP
        float *scratch = call->scratch + omp_get_thread_num() * scratch_size(net);
#else
        float *scratch = call->scratch;
#endif
        begin_tiles();
        for (int index = -1; index < net->n_layers; index++) {
#pragma omp for schedule(dynamic)
            for (int i = 0; i < n_blocks; i++) {
                int first = i * n_block, n_rows = call->n_rows - first < n_block ? call->n_rows - first : n_block;
                block(net, call, index, first, n_rows, scratch);
            }
        }
        end_tiles();
    }
}

/* What follows is of training: the steps of an LSTM, forwards and back, for the few rows of a batch. Of a matrix of
 * megabytes each weight is read once a step, and asked for a chunk ahead while the chunk before is multiplied. */
enum { STEP_ROWS = 48, STEP_CHUNK = 128, STEP_CHANNELS = 64 };

static __attribute__((noinline)) void multiply_few(const float *x, int64_t stride, int n_rows, const float *panel,
                                                   int n_words, float *total) {
    const uint32_t *rows = (const uint32_t *)x, *weight = (const uint32_t *)panel;
    for (int k = 0; k < n_words; k += STEP_CHUNK, rows += STEP_CHUNK, weight += STEP_CHUNK * PANEL) {
        int n = n_words - k < STEP_CHUNK ? n_words - k : STEP_CHUNK, r = 0;
        if (n_rows >= ROWS) {
            multiply_tile(FLOAT32, ROWS, STEP_CHUNK, rows, stride, weight, n, 0, NULL, NULL, total);
            r = ROWS;
        }
        for (; r + ROWS <= n_rows; r += ROWS)
            multiply_tile(FLOAT32, ROWS, 0, rows + r * stride, stride, weight, n, 0, NULL, NULL, total + r * PANEL);
        for (; r + SOME_ROWS <= n_rows; r += SOME_ROWS)
            multiply_tile(FLOAT32, SOME_ROWS, 0, rows + r * stride, stride, weight, n, 0, NULL, NULL, total + r * PANEL);
        for (; r < n_rows; r++)
            multiply_tile(FLOAT32, 1, 0, rows + r * stride, stride, weight, n, 0, NULL, NULL, total + r * PANEL);
    }
}

INLINE Floats taken(const float *x, int n) {
    if (n == LANES) return *(const Floats *)x;
    Floats some = floats_of(0.0f);
    memcpy(&some, x, n * sizeof *x);
    return some;
}

INLINE void put(float *x, Floats y, int n) { memcpy(x, &y, n == LANES ? sizeof y : n * sizeof *x); }

INLINE Floats sigmoid(Floats x) { return 1.0f / (1.0f + exponential(clamped(x, 40.0f) * -1.0f)); }

/* To 3e-7 of itself, near zero as well. */
INLINE Floats hyperbolic_tangent(Floats x) {
    Floats more, power = power_and_more(clamped(x, 20.0f) * -2.0f, &more);
    Floats less = more * power + (power - 1.0f); /* e to the -2 x, less one */
    return less * -1.0f / (less + 2.0f);
}

INLINE int smaller_of(int a, int b) { return a < b ? a : b; }

/* LANES channels of all rows. */
static void step_channels(const Recurrence *l, int64_t t, int first) {
    int n = smaller_of(l->size - first, LANES);
    int64_t size = l->size, at = t * l->batch;
    const float *weight = l->weight + (int64_t)first * 4 * l->n_in;
    for (int from = 0; from < l->batch; from += STEP_ROWS) {
        int n_rows = smaller_of(l->batch - from, STEP_ROWS);
        float total[2][STEP_ROWS * PANEL];
        memset(total, 0, sizeof total);
        const float *seen = l->seen + (at + from) * l->n_in;
        for (int half = 0; half < 2; half++)
            multiply_few(seen, l->n_in, n_rows, weight + half * PANEL * l->n_in, l->n_in, total[half]);
        for (int r = 0; r < n_rows; r++) {
            int64_t row = at + from + r, next = row + l->batch;
            const float *inputs = l->inputs + row * 4 * size + first;
            float *gates = l->gates + row * 4 * size + first;
            Floats parts[4];
            UNROLLED for (int gate = 0; gate < 4; gate++) {
                Floats sum = *(const Floats *)(total[gate / 2] + r * PANEL + gate % 2 * LANES);
                sum += taken(inputs + gate * size, n);
                parts[gate] = gate == 2 ? hyperbolic_tangent(sum) : sigmoid(sum);
                put(gates + gate * size, parts[gate], n);
            }
            Floats state = taken(l->states + row * size + first, n) * parts[1] + parts[0] * parts[2];
            put(l->states + next * size + first, state, n);
            Floats output = hyperbolic_tangent(state) * parts[3];
            if (l->keep) output *= taken(l->keep + row * size + first, n);
            put(l->seen + next * l->n_in + first, output, n);
        }
    }
}

static void step(const Recurrence *l, int64_t t) {
#pragma omp parallel for num_threads(l->n_threads) if (l->n_threads > 1)
    for (int first = 0; first < l->size; first += LANES) step_channels(l, t, first);
}

/* From the gradient of what a step gave to that of what entered its gates, some channels of all rows. */
static void gates_back(const Recurrence *l, int64_t t, int first) {
    int64_t size = l->size, at = t * l->batch;
    int last = smaller_of(first + STEP_CHANNELS, l->size);
    for (int r = 0; r < l->batch; r++) {
        int64_t row = at + r, next = row + l->batch;
        for (int c = first; c < last; c += LANES) {
            int n = smaller_of(last - c, LANES);
            const float *gates = l->gates + row * 4 * size + c;
            float *grads = l->grad_inputs + row * 4 * size + c;
            Floats in = taken(gates, n), forget = taken(gates + size, n);
            Floats cell = taken(gates + 2 * size, n), out = taken(gates + 3 * size, n);
            Floats grad = taken(l->grad_now + (int64_t)r * l->n_in + c, n);
            if (l->keep) grad *= taken(l->keep + row * size + c, n);
            Floats bent = hyperbolic_tangent(taken(l->states + next * size + c, n));
            Floats state = taken(l->grad_state + r * size + c, n) + grad * out * (1.0f - bent * bent);
            put(grads, state * cell * in * (1.0f - in), n);
            put(grads + size, state * taken(l->states + row * size + c, n) * forget * (1.0f - forget), n);
            put(grads + 2 * size, state * in * (1.0f - cell * cell), n);
            put(grads + 3 * size, grad * bent * out * (1.0f - out), n);
            put(l->grad_state + r * size + c, state * forget, n);
        }
    }
}

/* What the step before gave has a gradient from outside, and from what this step made of it: a panel of its numbers. */
static void seen_back(const Recurrence *l, int64_t t, int first) {
    int n = smaller_of(l->n_in - first, PANEL);
    int64_t at = t * l->batch;
    const float *weight = l->weight + (int64_t)first * 4 * l->size;
    for (int from = 0; from < l->batch; from += STEP_ROWS) {
        int n_rows = smaller_of(l->batch - from, STEP_ROWS);
        float total[STEP_ROWS * PANEL];
        memset(total, 0, sizeof total);
        if (t)
            for (int r = 0; r < n_rows; r++)
                memcpy(total + r * PANEL, l->grad_seen + (at - l->batch + from + r) * l->n_in + first, n * sizeof *total);
        multiply_few(l->grad_inputs + (at + from) * 4 * l->size, 4 * l->size, n_rows, weight, 4 * l->size, total);
        for (int r = 0; r < n_rows; r++)
            memcpy(l->grad_now + (int64_t)(from + r) * l->n_in + first, total + r * PANEL, n * sizeof *total);
    }
}

static void step_back(const Recurrence *l, int64_t t) {
#pragma omp parallel num_threads(l->n_threads) if (l->n_threads > 1)
    {
#pragma omp for
        for (int first = 0; first < l->size; first += STEP_CHANNELS) gates_back(l, t, first);
#pragma omp for
        for (int first = 0; first < l->n_in; first += PANEL) seen_back(l, t, first);
    }
}

const Level NAMED(glowtron_level_, LEVEL) = {LANES, KINDS, ZERO, MOST, MOST_WEIGHT, run, write_rows, scratch_size,
                                             step, step_back};
