/* Samples of a WaveNet, one after the other: what a layer has read is kept in rings, so that a sample costs each weight
 * once. The weights of past taps are not waiting for the newest sample: they are multiplied for up to 16 samples ahead.
 *
 * Matrices are packed in groups of 32 rows, so that they are read from beginning to end: for each input, or each 2 or 4 of
 * them, the 32 rows' weights for it. There are three kinds: float; weights of 8 bits and inputs of 14, whose products are
 * added in 32 bits; and weights and inputs of 7 bits, sixteen of whose products fit 16 bits. Rounded weights have a scale
 * for each row, inputs one for each column. What is rounded is never fed back: residual stream, sums and samples are float.
 *
 * Of each function that does the work there are two, for every processor and for those with AVX2 and FMA.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define X86 1
#define WIDE __attribute__((target("avx2,fma")))
#else
#define X86 0
#endif
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8") /* Or GCC 12 writes sums in arrays to memory in every round. */
#endif

enum { ROWS = 32, MOST_COLUMNS = 64, LAYOUT = 3 /* of packed weights: another one gets another number */ };
enum { FP32, INT16, INT8 };
enum { LARGEST_INT16 = 8191, LARGEST_INT8 = 63 }; /* of rounded inputs */
enum { CHUNK = 32 }; /* inputs whose products, of bytes, are added up in 16 bits: in two halves of 16 */
enum { LOGISTIC, GAUSSIAN, SOFTMAX };

typedef float v8 __attribute__((vector_size(32), aligned(4)));
typedef int32_t i8 __attribute__((vector_size(32), aligned(4)));

typedef struct {
    const void *weight; /* packed; rows and inputs filled up with zeros */
    const float *bias;  /* (n_out), or NULL */
    const float *scale; /* (n_out) of each row, whole numbers only */
    int32_t n_in, n_out; /* multiples of 32 */
} Matrix;

typedef struct {
    Matrix past, now, out; /* the taps before the newest, the newest, residual over skip rows */
    int32_t dilation, ahead; /* samples between taps; for how many samples past taps are multiplied at once */
    int32_t has_residual, unused;
    float *ring;  /* (reach + ahead, batch) columns */
    float *gates; /* (ahead, batch, gates) of past taps and conditioning */
} Layer;

typedef struct {
    int32_t n_layers, n_taps, residual, half, skip, n_outputs;
    int32_t batch, kind, level, output, n_mixtures, clamp_scale;
    float log_scale_min, sigma;
    int64_t step; /* samples made so far */
    Layer *layers;
    const float *first; /* (n_inputs, residual): one row that a sample scales, or a row for each code */
    const float *first_bias;
    Matrix head, last;
    float *previous; /* (batch) the last sample, or code */
} Net;

int32_t glowtron_wavenet_sizes(int32_t which) {
    const int32_t sizes[] = {sizeof(Net), sizeof(Layer), sizeof(Matrix), LAYOUT};
    return sizes[which];
}

/* A column is what a product reads: floats, or a scale and whole numbers of 16 or 8 bits. Behind bytes are, for each chunk,
 * the two numbers of 16 bits that its sums begin with: weights are stored with 63 added to them, which comes off again.
 */
static size_t column_floats(int kind, int n_in) {
    return kind == FP32 ? (size_t)n_in : kind == INT16 ? 8 + (size_t)n_in / 2 : 8 + (size_t)n_in / 4 + (size_t)n_in / CHUNK;
}

int32_t glowtron_wavenet_column(int32_t kind, int32_t n_in) { return (int32_t)column_floats(kind, n_in); }

/* ---- what every processor does ---- */

INLINE void write_column(float *column, const float *x, int n_in, int kind) {
    if (kind == FP32) {
        memcpy(column, x, sizeof(float) * n_in);
        return;
    }
    v8 most = {0};
    for (int k = 0; k < n_in; k += 8) {
        const v8 size = (v8)((i8)(*(const v8 *)(x + k)) & 0x7fffffff);
        most = (v8)(((i8)size & (size > most)) | ((i8)most & ~(size > most)));
    }
    float largest = 1e-20f;
    for (int k = 0; k < 8; k++) largest = most[k] > largest ? most[k] : largest;
    const float limit = kind == INT16 ? LARGEST_INT16 : LARGEST_INT8, inverse = limit / largest;
    column[0] = largest / limit;
    /* Adding and taking off 1.5 * 2^23 rounds to the nearest whole number. */
    if (kind == INT16) {
        int16_t *inputs = (int16_t *)(column + 8);
        for (int k = 0; k < n_in; k++) inputs[k] = (int16_t)(int32_t)(x[k] * inverse + 12582912.0f - 12582912.0f);
        return;
    }
    int8_t *inputs = (int8_t *)(column + 8);
    int16_t *starts = (int16_t *)(inputs + n_in);
    for (int k = 0; k < n_in; k++) inputs[k] = (int8_t)(int32_t)(x[k] * inverse + 12582912.0f - 12582912.0f);
    for (int chunk = 0; chunk < n_in / CHUNK; chunk++)
        for (int side = 0; side < 2; side++) {
            int sum = 0;
            for (int k = chunk * CHUNK + 2 * side; k < (chunk + 1) * CHUNK; k += 4) sum += inputs[k] + inputs[k + 1];
            starts[2 * chunk + side] = (int16_t)(uint16_t)(-LARGEST_INT8 * sum);
        }
}

/* 2^n times a polynomial of the rest (Cephes); good to 2 units in the last place between -87 and 88. */
INLINE v8 exp8(v8 x) {
    const v8 n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
    const v8 r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    v8 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const i8 power = (__builtin_convertvector(n, i8) + 127) << 23;
    return p * (v8)power;
}

INLINE v8 within(v8 x, float limit) {
    const v8 high = x - x + limit;
    x = (v8)(((i8)x & (x < high)) | ((i8)high & ~(x < high)));
    return (v8)(((i8)x & (x > -high)) | ((i8)(-high) & ~(x > -high)));
}

/* tanh(a) sigmoid(b), in one division */
INLINE v8 gate(v8 a, v8 b) {
    const v8 u = exp8(-2.0f * within(a, 15.0f)), w = exp8(-within(b, 40.0f));
    return (1.0f - u) / ((1.0f + u) * (1.0f + w));
}

/* What becomes of the 32 sums of a group of rows: y = sums, y += sums, or the gates of y + sums, of whose rows 16 for tanh
 * come before 16 for sigmoid. Nothing is multiplied here: compilers fuse a product with a sum in one place and not in another,
 * and a clip would sound different in company.
 */
typedef struct {
    enum { SET, ADD, GATE } what;
    int kind;
} End;

INLINE void finish(const Matrix *m, int row, v8 sums[4], float *y, const End end) {
    UNROLL for (int i = 0; i < 4; i++) {
        if (m->bias) sums[i] += *(const v8 *)(m->bias + row + 8 * i);
        if (end.what != SET) sums[i] += *(const v8 *)(y + row + 8 * i);
        if (end.what != GATE) *(v8 *)(y + row + 8 * i) = sums[i];
    }
}

/* Products of columns by a matrix's rows from `first` on. A column's result is the same whatever its company. */
INLINE void tile_float(const Matrix *m, int row, const float *const *columns, v8 sums[][4], const int n) {
    const float *w = (const float *)m->weight + (size_t)row * m->n_in;
    UNROLL for (int j = 0; j < n; j++)
        UNROLL for (int i = 0; i < 4; i++) sums[j][i] = (v8){0};
    for (int k = 0; k < m->n_in; k++, w += ROWS) {
        const v8 w0 = *(const v8 *)w, w1 = *(const v8 *)(w + 8), w2 = *(const v8 *)(w + 16), w3 = *(const v8 *)(w + 24);
        UNROLL for (int j = 0; j < n; j++) {
            const float x = columns[j][k];
            sums[j][0] += w0 * x;
            sums[j][1] += w1 * x;
            sums[j][2] += w2 * x;
            sums[j][3] += w3 * x;
        }
    }
}

/* Of how many neighbouring inputs a row's weights lie side by side. */
static int together(int kind) { return kind == FP32 ? 1 : kind == INT16 ? 2 : 4; }

static void tile_int_plain(const Matrix *m, int row, const float *column, v8 sums[4], int kind) {
    const int8_t *w = (const int8_t *)m->weight + (size_t)row * m->n_in;
    const int side = together(kind);
    const void *inputs = column + 8;
    for (int r = 0; r < ROWS; r++) {
        int32_t sum = 0;
        for (int k = 0; k < m->n_in; k++) {
            const int weight = w[(k / side * ROWS + r) * side + k % side];
            sum += kind == INT16 ? ((const int16_t *)inputs)[k] * weight
                                 : ((const int8_t *)inputs)[k] * (weight - LARGEST_INT8);
        }
        sums[r / 8][r % 8] = (float)sum * (m->scale[row + r] * column[0]);
    }
}

typedef struct {
    const float *const *columns;
    float *const *y, *const *gated; /* of each column, from the matrix's first row on */
    int n;
} Columns;

static void product_plain(const Matrix *m, int from, int to, Columns c, End end) {
    for (int row = from; row < to; row += ROWS)
        for (int j = 0; j < c.n; j++) {
            v8 sums[1][4];
            if (end.kind == FP32)
                tile_float(m, row, c.columns + j, sums, 1);
            else
                tile_int_plain(m, row, c.columns[j], sums[0], end.kind);
            finish(m, row, sums[0], c.y[j], end);
            if (end.what == GATE)
                for (int i = 0; i < 2; i++) *(v8 *)(c.gated[j] + row / 2 + 8 * i) = gate(sums[0][i], sums[0][i + 2]);
        }
}

static void write_column_plain(float *column, const float *x, int n_in, int kind) { write_column(column, x, n_in, kind); }

/* to (n_samples, apart_to floats each; n of them) = sums of frames, `apart` floats each, by their share (n_samples, n_frames) */
INLINE void mix(float *to, size_t apart_to, int n_samples, const float *frames, size_t apart, const float *share,
                int n_frames, size_t n) {
    int first = 0, last = n_frames - 1, some = 0;
    /* Frames that none of the samples has a share in are left out. */
    for (; last > 0; last--, some = 0) {
        for (int t = 0; t < n_samples; t++) some |= share[t * n_frames + last] != 0;
        if (some) break;
    }
    for (; first < last; first++, some = 0) {
        for (int t = 0; t < n_samples; t++) some |= share[t * n_frames + first] != 0;
        if (some) break;
    }
    for (size_t k = 0; k < n; k += 16)
        for (int t = 0; t < n_samples; t++) {
            const float *of = share + t * n_frames;
            v8 low = *(const v8 *)(frames + first * apart + k) * of[first];
            v8 high = *(const v8 *)(frames + first * apart + k + 8) * of[first];
            for (int f = first + 1; f <= last; f++) {
                low += *(const v8 *)(frames + f * apart + k) * of[f];
                high += *(const v8 *)(frames + f * apart + k + 8) * of[f];
            }
            *(v8 *)(to + t * apart_to + k) = low;
            *(v8 *)(to + t * apart_to + k + 8) = high;
        }
}
static void mix_plain(float *to, size_t apart_to, int n_samples, const float *frames, size_t apart, const float *share,
                      int n_frames, size_t n) {
    mix(to, apart_to, n_samples, frames, apart, share, n_frames, n);
}

/* ---- what those with AVX2 do ---- */

#if X86
WIDE static void mix_wide(float *to, size_t apart_to, int n_samples, const float *frames, size_t apart,
                          const float *share, int n_frames, size_t n) {
    mix(to, apart_to, n_samples, frames, apart, share, n_frames, n);
}

/* Four bytes, eight times */
WIDE INLINE __m256i spread(const void *four_bytes) {
    int32_t value;
    memcpy(&value, four_bytes, 4);
    return _mm256_set1_epi32(value);
}

/* Thirty-two inputs as bytes, and what their sums begin with. */
WIDE INLINE void write_chunk(int8_t *inputs, int32_t *starts, const float *x, __m256 inverse) {
    __m256i words[4];
    UNROLL for (int i = 0; i < 4; i++)
        words[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), inverse));
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(words[0], words[1]), _mm256_packs_epi32(words[2], words[3]));
    const __m256i bytes = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)inputs, bytes);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), packed);
    __m128i sum = _mm_add_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    sum = _mm_add_epi16(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi16(sum, _mm_shuffle_epi32(sum, 0xb1));
    *starts = _mm_cvtsi128_si32(_mm_mullo_epi16(sum, _mm_set1_epi16(-LARGEST_INT8)));
}

WIDE static void write_column_wide(float *column, const float *x, int n_in, int kind) {
    if (kind != INT8) {
        write_column(column, x, n_in, kind);
        return;
    }
    const __m256 without_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 most[4];
    UNROLL for (int i = 0; i < 4; i++) most[i] = _mm256_and_ps(_mm256_loadu_ps(x + 8 * i), without_sign);
    for (int k = 32; k < n_in; k += 32)
        UNROLL for (int i = 0; i < 4; i++)
            most[i] = _mm256_max_ps(most[i], _mm256_and_ps(_mm256_loadu_ps(x + k + 8 * i), without_sign));
    const __m256 of_all = _mm256_max_ps(_mm256_max_ps(most[0], most[1]), _mm256_max_ps(most[2], most[3]));
    __m128 largest = _mm_max_ps(_mm256_castps256_ps128(of_all), _mm256_extractf128_ps(of_all, 1));
    largest = _mm_max_ps(largest, _mm_movehl_ps(largest, largest));
    largest = _mm_max_ss(_mm_max_ss(largest, _mm_shuffle_ps(largest, largest, 1)), _mm_set_ss(1e-20f));
    column[0] = _mm_cvtss_f32(largest) / LARGEST_INT8;
    const __m256 inverse = _mm256_set1_ps(LARGEST_INT8 / _mm_cvtss_f32(largest));
    int8_t *inputs = (int8_t *)(column + 8);
    for (int k = 0; k < n_in; k += CHUNK) write_chunk(inputs + k, (int32_t *)(inputs + n_in) + k / CHUNK, x + k, inverse);
}

/* Or GCC 12 adds in another order, and writes what it has not added yet to memory. */
WIDE INLINE __m256i in_register(__m256i sum) {
    __asm__("" : "+x"(sum));
    return sum;
}

/* Rounded before anything is added to it: a compiler that fused some of these with additions would tell one column from two. */
WIDE INLINE void scaled(const Matrix *m, int row, const float *column, const __m256i whole[4], v8 sums[4]) {
    UNROLL for (int i = 0; i < 4; i++) {
        const v8 value = (v8)_mm256_cvtepi32_ps(whole[i]) * (*(const v8 *)(m->scale + row + 8 * i) * column[0]);
        sums[i] = (v8)in_register((__m256i)value);
    }
}


/* 32 rows by n columns: inputs of 16 bits, weights widened as they are read. */
WIDE INLINE void tile_int16(const Matrix *m, int row, const float *const *columns, v8 sums[][4], const int n) {
    const int8_t *w = (const int8_t *)m->weight + (size_t)row * m->n_in;
    __m256i whole[2][4] = {{{0}}};
    for (int k = 0; k < m->n_in; k += 2, w += 2 * ROWS) {
        UNROLL for (int j = 0; j < n; j++) {
            const __m256i inputs = spread((const int16_t *)(columns[j] + 8) + k);
            UNROLL for (int i = 0; i < 4; i++) {
                const __m256i weights = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(w + 16 * i)));
                whole[j][i] = _mm256_add_epi32(whole[j][i], _mm256_madd_epi16(weights, inputs));
            }
        }
    }
    UNROLL for (int j = 0; j < n; j++) scaled(m, row, columns[j], whole[j], sums[j]);
}

/* The same of bytes. Weights are stored as 0 to 126, 63 more than they are, since one side of this multiplication has no
 * sign. Sums in 16 bits go round: what matters is that the true one, of a chunk's 16 products, fits, which the scale of
 * each row has seen to.
 */
WIDE INLINE void tile_int8(const Matrix *m, int row, const float *const *columns, v8 sums[][4], const int n) {
    const __m256i one = _mm256_set1_epi16(1);
    const uint8_t *w = (const uint8_t *)m->weight + (size_t)row * m->n_in;
    __m256i whole[2][4] = {{{0}}};
    for (int chunk = 0; chunk < m->n_in / CHUNK; chunk++) {
        __m256i part[2][4];
        UNROLL for (int j = 0; j < n; j++) {
            part[j][0] = spread((const int8_t *)(columns[j] + 8) + m->n_in + 4 * chunk);
            UNROLL for (int i = 1; i < 4; i++) part[j][i] = part[j][0];
        }
        UNROLL for (int k = 0; k < CHUNK / 4; k++, w += 4 * ROWS) {
            __m256i inputs[2];
            UNROLL for (int j = 0; j < n; j++) inputs[j] = in_register(spread((const int8_t *)(columns[j] + 8) + CHUNK * chunk + 4 * k));
            UNROLL for (int i = 0; i < 4; i++) {
                const __m256i weights = in_register(_mm256_loadu_si256((const __m256i *)w + i));
                UNROLL for (int j = 0; j < n; j++)
                    part[j][i] = in_register(_mm256_add_epi16(part[j][i], _mm256_maddubs_epi16(weights, inputs[j])));
            }
        }
        UNROLL for (int j = 0; j < n; j++)
            UNROLL for (int i = 0; i < 4; i++)
                whole[j][i] = _mm256_add_epi32(whole[j][i], _mm256_madd_epi16(part[j][i], one));
    }
    UNROLL for (int j = 0; j < n; j++) scaled(m, row, columns[j], whole[j], sums[j]);
}

/* 2^x to one part in ten thousand, for x within 60 */
WIDE INLINE __m256 rough_exp2(__m256 x) {
    x = _mm256_max_ps(_mm256_min_ps(x, _mm256_set1_ps(60)), _mm256_set1_ps(-60));
    const __m256 magic = _mm256_set1_ps(12582912), shifted = _mm256_add_ps(x, magic); /* Its last bits: the whole number. */
    const __m256 r = _mm256_sub_ps(x, _mm256_sub_ps(shifted, magic));
    __m256 p = _mm256_fmadd_ps(r, _mm256_set1_ps(0.0558016f), _mm256_set1_ps(0.2402265f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.6931472f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23)));
}

/* As `gate`, for what is rounded to seven bits. */
WIDE INLINE __m256 rough_gate(__m256 a, __m256 b) {
    const __m256 one = _mm256_set1_ps(1), u = rough_exp2(_mm256_mul_ps(a, _mm256_set1_ps(-2 * 1.44269504f)));
    const __m256 w = rough_exp2(_mm256_mul_ps(b, _mm256_set1_ps(-1.44269504f)));
    return _mm256_div_ps(_mm256_sub_ps(one, u), _mm256_mul_ps(_mm256_add_ps(one, u), _mm256_add_ps(one, w)));
}

WIDE INLINE void tile_wide(const Matrix *m, int row, Columns c, int at, const End end, const int n) {
    v8 sums[2][4];
    if (end.kind == FP32)
        tile_float(m, row, c.columns + at, sums, n);
    else if (end.kind == INT16)
        tile_int16(m, row, c.columns + at, sums, n);
    else
        tile_int8(m, row, c.columns + at, sums, n);
    UNROLL for (int j = 0; j < n; j++) {
        finish(m, row, sums[j], c.y[at + j], end);
        if (end.what != GATE) continue;
        UNROLL for (int i = 0; i < 2; i++)
            *(v8 *)(c.gated[at + j] + row / 2 + 8 * i) = end.kind == FP32
                                                             ? gate(sums[j][i], sums[j][i + 2])
                                                             : (v8)rough_gate((__m256)sums[j][i], (__m256)sums[j][i + 2]);
    }
}

WIDE INLINE void product_of(const Matrix *m, int from, int to, Columns c, const End end) {
    for (int row = from; row < to; row += ROWS) {
        int at = 0;
        for (; at + 2 <= c.n; at += 2) tile_wide(m, row, c, at, end, 2);
        if (at < c.n) tile_wide(m, row, c, at, end, 1);
    }
}

WIDE static void product_wide(const Matrix *m, int from, int to, Columns c, End end) {
#define OF(KIND, WHAT) if (end.kind == KIND && end.what == WHAT) product_of(m, from, to, c, (End){WHAT, KIND});
#define OF_KIND(KIND) OF(KIND, SET) OF(KIND, ADD) OF(KIND, GATE)
    OF_KIND(FP32) OF_KIND(INT16) OF_KIND(INT8)
#undef OF_KIND
#undef OF
}
#endif

int32_t glowtron_wavenet_n_levels(void) {
#if X86
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 2;
#endif
    return 1;
}

typedef struct {
    void (*write_column)(float *, const float *, int, int);
    void (*product)(const Matrix *, int, int, Columns, End);
    void (*mix)(float *, size_t, int, const float *, size_t, const float *, int, size_t);
} Work;

static Work work_of(int level) {
#if X86
    if (level) return (Work){write_column_wide, product_wide, mix_wide};
#endif
    return (Work){write_column_plain, product_plain, mix_plain};
}

/* ---- drawing a sample ---- */

static float draw_mixture(const Net *net, const float *outputs, const float *choice, float value) {
    const int k = net->n_mixtures;
    const int alone = net->n_outputs == 2;
    int chosen = 0;
    if (!alone && k > 1) {
        float best = -INFINITY;
        for (int i = 0; i < k; i++) {
            const float score = outputs[i] - logf(-logf(choice[i]));
            if (score > best) best = score, chosen = i;
        }
    }
    const float mean = outputs[alone ? 0 : k + chosen];
    float log_scale = outputs[alone ? 1 : 2 * k + chosen];
    if (net->clamp_scale && log_scale < net->log_scale_min) log_scale = net->log_scale_min;
    const float away = net->output == GAUSSIAN ? value : logf(value) - log1pf(-value);
    const float sample = mean + net->sigma * expf(log_scale) * away;
    return sample < -1 ? -1 : sample > 1 ? 1 : sample;
}

/* A code by its probability: the first of which those up to it have a share of `value` or more of all. */
static float draw_code(const Net *net, float *outputs, double value) {
    const int n = net->n_outputs;
    float largest = -INFINITY;
    double total = 0, so_far = 0;
    for (int i = 0; i < n; i++) largest = outputs[i] > largest ? outputs[i] : largest;
    for (int i = 0; i < n; i++) {
        outputs[i] = expf((outputs[i] - largest) / net->sigma);
        total += outputs[i];
    }
    for (int i = 0; i < n; i++) {
        so_far += outputs[i];
        if (so_far >= value * total) return (float)i;
    }
    return (float)(n - 1);
}

/* A layer's past taps and conditioning -> its gates, for the next samples. */
static void look_back(const Net *net, const Layer *layer, const Work *work, const float *conditioning, size_t apart,
                      const float *upsampling, int32_t n, int32_t n_frames) {
    const int batch = net->batch, ahead = layer->ahead;
    const size_t gates = 2 * (size_t)net->half, wide = column_floats(net->kind, net->residual);
    const int length = layer->dilation * (net->n_taps - 1) + ahead;
    const float *columns[MOST_COLUMNS];
    float *y[MOST_COLUMNS];
    for (int b = 0; b < batch; b++)
        work->mix(layer->gates + b * gates, batch * gates, ahead, conditioning + b * gates, apart,
                  upsampling + (size_t)b * n * n_frames, n_frames, gates);
    const int at_once = MOST_COLUMNS / batch < ahead ? MOST_COLUMNS / batch : ahead;
    for (int tap = 1; tap < net->n_taps; tap++) {
        Matrix m = layer->past; /* One matrix a tap, one after the other, the nearest first. */
        m.weight = (const char *)m.weight + (size_t)(tap - 1) * m.n_in * m.n_out * (net->kind == FP32 ? 4 : 1);
        if (net->kind != FP32) m.scale += (size_t)(tap - 1) * m.n_out;
        for (int from = 0; from < ahead; from += at_once) {
            int count = 0;
            for (int j = from; j < ahead && j < from + at_once; j++)
                for (int b = 0; b < batch; b++, count++) {
                    const int64_t when = net->step + j - (int64_t)tap * layer->dilation + length;
                    columns[count] = layer->ring + ((size_t)(when % length) * batch + b) * wide;
                    y[count] = layer->gates + ((size_t)j * batch + b) * gates;
                }
            work->product(&m, 0, m.n_out, (Columns){columns, y, NULL, count}, (End){ADD, net->kind});
        }
    }
}

/* Make n samples: conditioning of frames (n_frames, layers, batch, gates), mixed by upsampling (batch, n, n_frames), -> signal
 * (n, batch). choice (n, batch, mixtures), value (n, batch); all_outputs (n, batch, n_outputs), or NULL. n and the samples
 * before are multiples of every layer's `ahead`. Returns 0, or 1 where memory is short.
 */
int32_t glowtron_wavenet_run(Net *net, int32_t n, const float *conditioning, const float *upsampling, int32_t n_frames,
                             const float *choice, const float *value, float *signal, float *all_outputs) {
    const Work work = work_of(net->level);
    const int batch = net->batch, kind = net->kind, residual = net->residual, half = net->half, skip = net->skip;
    const int n_out = net->last.n_out;
    const size_t gates = 2 * (size_t)half, wide = column_floats(kind, residual);
    const size_t narrow = column_floats(kind, half), column_skip = column_floats(kind, skip);
    const size_t floats = (size_t)batch * (residual + half + 2 * (size_t)skip + n_out + narrow + column_skip);
    float *memory = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    if (!memory) return 1;
    float *columns_half = memory, *columns_skip = columns_half + batch * narrow;
    const float *columns[MOST_COLUMNS];
    float *y[MOST_COLUMNS], *x[MOST_COLUMNS], *gated[MOST_COLUMNS], *total[MOST_COLUMNS], *rest[MOST_COLUMNS];
    float *hidden[MOST_COLUMNS], *outputs[MOST_COLUMNS];
    for (int b = 0; b < batch; b++) {
        x[b] = columns_skip + batch * column_skip + (size_t)b * residual;
        gated[b] = x[0] + (size_t)batch * residual + (size_t)b * half;
        total[b] = gated[0] + (size_t)batch * half + (size_t)b * skip;
        hidden[b] = total[0] + (size_t)batch * skip + (size_t)b * skip;
        outputs[b] = hidden[0] + (size_t)batch * skip + (size_t)b * n_out;
        rest[b] = total[b] - residual; /* Where skip rows come after residual ones. */
    }
#if X86
    const unsigned int before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* Numbers too small to matter are zero: they would cost a hundred times as much. */
#endif
    for (int t = 0; t < n; t++, net->step++) {
        for (int b = 0; b < batch; b++) {
            const float *row = net->first + (net->output == SOFTMAX ? (size_t)net->previous[b] * residual : 0);
            const float scale = net->output == SOFTMAX ? 1 : net->previous[b];
            for (int k = 0; k < residual; k++) x[b][k] = scale * row[k] + net->first_bias[k];
            memset(total[b], 0, sizeof(float) * skip);
        }
        for (int l = 0; l < net->n_layers; l++) {
            Layer *layer = net->layers + l;
            const int place = (int)(net->step % layer->ahead), length = layer->dilation * (net->n_taps - 1) + layer->ahead;
            const size_t apart = (size_t)net->n_layers * batch * gates;
            if (place == 0)
                look_back(net, layer, &work, conditioning + (size_t)l * batch * gates, apart, upsampling + (size_t)t * n_frames,
                          n, n_frames);
            float *now = layer->ring + (size_t)(net->step % length) * batch * wide;
            for (int b = 0; b < batch; b++) {
                work.write_column(now + b * wide, x[b], residual, kind);
                columns[b] = now + b * wide;
                y[b] = layer->gates + ((size_t)place * batch + b) * gates;
            }
            work.product(&layer->now, 0, (int)gates, (Columns){columns, y, gated, batch}, (End){GATE, kind});
            for (int b = 0; b < batch; b++) {
                columns[b] = columns_half + b * narrow;
                work.write_column(columns_half + b * narrow, gated[b], half, kind);
            }
            if (layer->has_residual)
                work.product(&layer->out, 0, residual, (Columns){columns, x, NULL, batch}, (End){ADD, kind});
            work.product(&layer->out, layer->has_residual ? residual : 0, layer->out.n_out,
                         (Columns){columns, layer->has_residual ? rest : total, NULL, batch}, (End){ADD, kind});
        }
        for (int pass = 0; pass < 2; pass++) {
            for (int b = 0; b < batch; b++) {
                float *from = pass ? hidden[b] : total[b];
                for (int k = 0; k < skip; k++) from[k] = from[k] > 0 ? from[k] : 0;
                columns[b] = columns_skip + b * column_skip;
                work.write_column(columns_skip + b * column_skip, from, skip, kind);
            }
            const Matrix *m = pass ? &net->last : &net->head;
            work.product(m, 0, m->n_out, (Columns){columns, pass ? outputs : hidden, NULL, batch}, (End){SET, kind});
        }
        for (int b = 0; b < batch; b++) {
            const size_t at = (size_t)t * batch + b;
            if (all_outputs) memcpy(all_outputs + at * net->n_outputs, outputs[b], sizeof(float) * net->n_outputs);
            net->previous[b] = signal[at] =
                net->output == SOFTMAX ? draw_code(net, outputs[b], value[at])
                                       : draw_mixture(net, outputs[b], choice ? choice + at * net->n_mixtures : NULL, value[at]);
        }
    }
#if X86
    _mm_setcsr(before);
#endif
    free(memory);
    return 0;
}

/* An all-pole filter whose coefficients hold for a block: rest (n) -> wave (n) = level * rest + sum coefficients * wave before.
 * coefficients (blocks, order), level (blocks); past (order) the last samples, the newest last, which is renewed.
 */
void glowtron_all_pole(const float *rest, int32_t n, const float *coefficients, const float *level, int32_t order,
                       int32_t block, float *past, float *wave) {
    for (int i = 0; i < n; i++) {
        const float *a = coefficients + (size_t)(i / block) * order;
        float sum = level[i / block] * rest[i];
        for (int k = 0; k < order; k++) sum += a[k] * past[order - 1 - k];
        memmove(past, past + 1, sizeof(float) * (order - 1));
        past[order - 1] = sum;
        wave[i] = sum;
    }
}
