/* Samples of a WaveNet, one after the other: what a layer has read is kept in rings, so that a sample costs each weight
 * once. The weights of past taps are not waiting for the newest sample: they are multiplied for up to 16 samples ahead.
 *
 * Matrices are packed in groups of 32 rows, so that they are read from beginning to end: for each input, or each 2 or 4 of
 * them, the 32 rows' weights for it. There are three kinds: float; weights of 8 bits and inputs of 14, whose products are
 * added in 32 bits; and weights and inputs of 7 bits, four of whose products fit 16 bits. Rounded weights have a scale
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

enum { ROWS = 32, MOST_COLUMNS = 64, LAYOUT = 2 /* of packed weights: another one gets another number */ };
enum { FP32, INT16, INT8 };
enum { LARGEST_INT16 = 8191, LARGEST_INT8 = 63 }; /* of rounded inputs */
enum { LOGISTIC, GAUSSIAN, SOFTMAX };

typedef float v8 __attribute__((vector_size(32), aligned(4)));
typedef int32_t i8 __attribute__((vector_size(32), aligned(4)));

typedef struct {
    const void *weight; /* packed; rows and inputs filled up with zeros */
    const float *bias;  /* (n_out), or NULL */
    const float *scale; /* (n_out) of each row, whole numbers only */
    const int32_t *offset; /* (n_out) what a row's sum begins with, bytes only */
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
    float keep, log_scale_min, sigma, unused;
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

/* A column is what a product reads: floats, or a scale and whole numbers of 16 or 8 bits. */
static size_t column_floats(int kind, int n_in) {
    return kind == FP32 ? (size_t)n_in : 8 + (size_t)n_in / (kind == INT16 ? 2 : 4);
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
    } else {
        uint8_t *inputs = (uint8_t *)(column + 8);
        for (int k = 0; k < n_in; k++)
            inputs[k] = (uint8_t)((int32_t)(x[k] * inverse + 12582912.0f - 12582912.0f) + LARGEST_INT8);
    }
}

/* y[c] (n_out) += or = W column[c], + bias where there is one. A column's sum is the same whatever its company. */
INLINE void tile_float(const Matrix *m, int row, const float *const *columns, float *const *y, int add, const int n) {
    const float *w = (const float *)m->weight + (size_t)row * m->n_in;
    v8 sums[2][4] = {{{0}}};
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
    UNROLL for (int j = 0; j < n; j++)
        UNROLL for (int i = 0; i < 4; i++) {
            const int at = row + 8 * i;
            v8 sum = sums[j][i];
            if (m->bias) sum += *(const v8 *)(m->bias + at);
            if (add) sum += *(const v8 *)(y[j] + at);
            *(v8 *)(y[j] + at) = sum;
        }
}

INLINE void product_float(const Matrix *m, const float *const *columns, int n, float *const *y, int add) {
    for (int row = 0; row < m->n_out; row += ROWS) {
        int c = 0;
        for (; c + 2 <= n; c += 2) tile_float(m, row, columns + c, y + c, add, 2);
        if (c < n) tile_float(m, row, columns + c, y + c, add, 1);
    }
}

/* Of how many neighbouring inputs a row's weights lie side by side. */
static int together(int kind) { return kind == FP32 ? 1 : kind == INT16 ? 2 : 4; }

static void product_int_plain(const Matrix *m, const float *const *columns, int n, float *const *y, int add, int kind) {
    const int8_t *w = m->weight;
    const int side = together(kind);
    for (int row = 0; row < m->n_out; row += ROWS, w += (size_t)ROWS * m->n_in)
        for (int c = 0; c < n; c++) {
            const void *inputs = columns[c] + 8;
            for (int r = 0; r < ROWS; r++) {
                int32_t sum = 0;
                for (int k = 0; k < m->n_in; k++) {
                    const int x =
                        kind == INT16 ? ((const int16_t *)inputs)[k] : ((const uint8_t *)inputs)[k] - LARGEST_INT8;
                    sum += x * w[(k / side * ROWS + r) * side + k % side];
                }
                float value = (float)sum * (m->scale[row + r] * columns[c][0]);
                if (m->bias) value += m->bias[row + r];
                y[c][row + r] = add ? y[c][row + r] + value : value;
            }
        }
}

INLINE v8 exp8(v8 x) {
    /* 2^n times a polynomial of the rest (Cephes); good to 2 units in the last place between -87 and 88. */
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

/* tanh of the first half times sigmoid of the second, in one division */
INLINE void gate(const float *gates, int half, float *out) {
    for (int k = 0; k < half; k += 8) {
        const v8 u = exp8(-2.0f * within(*(const v8 *)(gates + k), 15.0f));
        const v8 w = exp8(-within(*(const v8 *)(gates + half + k), 40.0f));
        *(v8 *)(out + k) = (1.0f - u) / ((1.0f + u) * (1.0f + w));
    }
}

/* to (n) = the sum of frames that `share` has, each `apart` floats after the one before */
INLINE void mix(float *to, const float *frames, size_t apart, const float *share, int n_frames, size_t n) {
    int first = 0;
    while (n_frames > 1 && share[n_frames - 1] == 0) n_frames--;
    while (first < n_frames - 1 && share[first] == 0) first++;
    for (size_t k = 0; k < n; k += 8) {
        v8 sum = *(const v8 *)(frames + first * apart + k) * share[first];
        for (int f = first + 1; f < n_frames; f++) sum += *(const v8 *)(frames + f * apart + k) * share[f];
        *(v8 *)(to + k) = sum;
    }
}

static void mix_plain(float *to, const float *frames, size_t apart, const float *share, int n_frames, size_t n) {
    mix(to, frames, apart, share, n_frames, n);
}
static void write_column_plain(float *column, const float *x, int n_in, int kind) { write_column(column, x, n_in, kind); }
static void product_plain(const Matrix *m, const float *const *columns, int n, float *const *y, int add, int kind) {
    if (kind == FP32)
        product_float(m, columns, n, y, add);
    else
        product_int_plain(m, columns, n, y, add, kind);
}
static void gate_plain(const float *gates, int half, float *out) { gate(gates, half, out); }

/* ---- what those with AVX2 do ---- */

#if X86
WIDE static void write_column_wide(float *column, const float *x, int n_in, int kind) {
    write_column(column, x, n_in, kind);
}
WIDE static void mix_wide(float *to, const float *frames, size_t apart, const float *share, int n_frames, size_t n) {
    mix(to, frames, apart, share, n_frames, n);
}
WIDE static void gate_wide(const float *gates, int half, float *out) { gate(gates, half, out); }

/* Sums of 32 rows by n columns -> y */
WIDE INLINE void finish(const Matrix *m, int row, const float *const *columns, float *const *y, int add,
                        __m256i sums[][4], const int n) {
    UNROLL for (int i = 0; i < 4; i++) {
        const int at = row + 8 * i;
        UNROLL for (int j = 0; j < n; j++) {
            const __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(m->scale + at), _mm256_set1_ps(columns[j][0]));
            __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[j][i]), scale);
            if (m->bias) value = _mm256_add_ps(value, _mm256_loadu_ps(m->bias + at));
            if (add) value = _mm256_add_ps(value, _mm256_loadu_ps(y[j] + at));
            _mm256_storeu_ps(y[j] + at, value);
        }
    }
}

/* Four bytes, eight times */
WIDE INLINE __m256i spread(const void *four_bytes) {
    int32_t value;
    memcpy(&value, four_bytes, 4);
    return _mm256_set1_epi32(value);
}

/* 32 rows by n columns: inputs of 16 bits, weights widened as they are read. */
WIDE INLINE void tile_int16(const Matrix *m, int row, const float *const *columns, float *const *y, int add,
                            const int n) {
    const int8_t *w = (const int8_t *)m->weight + (size_t)row * m->n_in;
    __m256i sums[2][4] = {{{0}}};
    for (int k = 0; k < m->n_in; k += 2, w += 2 * ROWS) {
        UNROLL for (int j = 0; j < n; j++) {
            const __m256i inputs = spread((const int16_t *)(columns[j] + 8) + k);
            UNROLL for (int i = 0; i < 4; i++) {
                const __m256i weights = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(w + 16 * i)));
                sums[j][i] = _mm256_add_epi32(sums[j][i], _mm256_madd_epi16(weights, inputs));
            }
        }
    }
    finish(m, row, columns, y, add, sums, n);
}

/* The same of bytes. An input is from 0 to 126 and a weight from -63 to 63, so that four products fit 16 bits. */
WIDE INLINE void tile_int8(const Matrix *m, int row, const float *const *columns, float *const *y, int add,
                            const int n) {
    const __m256i one = _mm256_set1_epi16(1);
    const int8_t *w = (const int8_t *)m->weight + (size_t)row * m->n_in;
    __m256i sums[2][4];
    UNROLL for (int i = 0; i < 4; i++) { /* What 63 was added to each input for comes off again. */
        sums[0][i] = _mm256_loadu_si256((const __m256i *)(m->offset + row + 8 * i));
        sums[1][i] = sums[0][i];
    }
    for (int k = 0; k < m->n_in; k += 8, w += 8 * ROWS) {
        UNROLL for (int j = 0; j < n; j++) {
            const uint8_t *inputs = (const uint8_t *)(columns[j] + 8) + k;
            const __m256i first = spread(inputs), second = spread(inputs + 4);
            UNROLL for (int i = 0; i < 4; i++) {
                const __m256i *weights = (const __m256i *)(w + 32 * i);
                const __m256i fours = _mm256_add_epi16(_mm256_maddubs_epi16(first, _mm256_loadu_si256(weights)),
                                                       _mm256_maddubs_epi16(second, _mm256_loadu_si256(weights + 4)));
                sums[j][i] = _mm256_add_epi32(sums[j][i], _mm256_madd_epi16(fours, one));
            }
        }
    }
    finish(m, row, columns, y, add, sums, n);
}

WIDE static void product_wide(const Matrix *m, const float *const *columns, int n, float *const *y, int add, int kind) {
    if (kind == FP32) product_float(m, columns, n, y, add);
    for (int row = 0; kind == INT16 && row < m->n_out; row += ROWS) {
        int c = 0;
        for (; c + 2 <= n; c += 2) tile_int16(m, row, columns + c, y + c, add, 2);
        if (c < n) tile_int16(m, row, columns + c, y + c, add, 1);
    }
    for (int row = 0; kind == INT8 && row < m->n_out; row += ROWS) {
        int c = 0;
        for (; c + 2 <= n; c += 2) tile_int8(m, row, columns + c, y + c, add, 2);
        if (c < n) tile_int8(m, row, columns + c, y + c, add, 1);
    }
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
    void (*product)(const Matrix *, const float *const *, int, float *const *, int, int);
    void (*gate)(const float *, int, float *);
    void (*mix)(float *, const float *, size_t, const float *, int, size_t);
} Work;

static Work work_of(int level) {
#if X86
    if (level) return (Work){write_column_wide, product_wide, gate_wide, mix_wide};
#endif
    return (Work){write_column_plain, product_plain, gate_plain, mix_plain};
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

static float draw_code(const Net *net, const float *outputs, double value) {
    double largest = -INFINITY, total = 0, so_far = 0;
    for (int i = 0; i < net->n_outputs; i++) largest = outputs[i] > largest ? outputs[i] : largest;
    for (int i = 0; i < net->n_outputs; i++) total += exp((outputs[i] - largest) / net->sigma);
    for (int i = 0; i < net->n_outputs; i++) {
        so_far += exp((outputs[i] - largest) / net->sigma);
        if (so_far >= value * total) return (float)i;
    }
    return (float)(net->n_outputs - 1);
}

/* Make n samples: conditioning of frames (n_frames, layers, batch, gates), mixed by upsampling (batch, n, n_frames), -> signal
 * (n, batch). choice (n, batch, mixtures), value (n, batch); all_outputs (n, batch, n_outputs), or NULL. n and the samples
 * before are multiples of every layer's `ahead`. Returns 0, or 1 where memory is short.
 */
int32_t glowtron_wavenet_run(Net *net, int32_t n, const float *conditioning, const float *upsampling, int32_t n_frames,
                             const float *choice, const float *value, float *signal, float *all_outputs) {
    const Work work = work_of(net->level);
    const int batch = net->batch, kind = net->kind, residual = net->residual, half = net->half, skip = net->skip;
    const int rows_out = residual + skip, n_out = net->last.n_out;
    const size_t gates = 2 * (size_t)half, wide = column_floats(kind, residual);
    const size_t narrow = column_floats(kind, half), column_skip = column_floats(kind, skip);
    const size_t floats = (size_t)batch * (residual + half + rows_out + 2 * (size_t)skip + n_out + narrow + column_skip);
    float *memory = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    if (!memory) return 1;
    float *x = memory, *gated = x + batch * (size_t)residual, *out = gated + batch * (size_t)half;
    float *total = out + batch * (size_t)rows_out, *hidden = total + batch * (size_t)skip;
    float *outputs = hidden + batch * (size_t)skip, *columns_half = outputs + batch * (size_t)n_out;
    float *columns_skip = columns_half + batch * narrow;
    const float *columns[MOST_COLUMNS];
    float *y[MOST_COLUMNS];
#if X86
    const unsigned int before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* Numbers too small to matter are zero: they would cost a hundred times as much. */
#endif
    for (int t = 0; t < n; t++, net->step++) {
        for (int b = 0; b < batch; b++) {
            float *mine = x + (size_t)b * residual;
            const float *row = net->first + (net->output == SOFTMAX ? (size_t)net->previous[b] * residual : 0);
            const float scale = net->output == SOFTMAX ? 1 : net->previous[b];
            for (int k = 0; k < residual; k++) mine[k] = scale * row[k] + net->first_bias[k];
        }
        memset(total, 0, sizeof(float) * batch * skip);
        for (int l = 0; l < net->n_layers; l++) {
            Layer *layer = net->layers + l;
            const int ahead = layer->ahead, place = (int)(net->step % ahead);
            const int reach = layer->dilation * (net->n_taps - 1), length = reach + ahead;
            if (place == 0) { /* Past taps of the next samples. */
                for (int j = 0; j < ahead; j++)
                    for (int b = 0; b < batch; b++)
                        work.mix(layer->gates + ((size_t)j * batch + b) * gates,
                            conditioning + ((size_t)l * batch + b) * gates, (size_t)net->n_layers * batch * gates,
                            upsampling + ((size_t)b * n + t + j) * n_frames, n_frames, gates);
                const int at_once = MOST_COLUMNS / batch < ahead ? MOST_COLUMNS / batch : ahead;
                for (int tap = 1; tap < net->n_taps; tap++) {
                    Matrix m = layer->past; /* One matrix a tap, one after the other, the nearest first. */
                    const size_t size = (size_t)m.n_in * m.n_out * (kind == FP32 ? 4 : 1);
                    m.weight = (const char *)m.weight + (tap - 1) * size;
                    if (kind != FP32) m.scale += (size_t)(tap - 1) * m.n_out, m.offset += (size_t)(tap - 1) * m.n_out;
                    for (int from = 0; from < ahead; from += at_once) {
                        int count = 0;
                        for (int j = from; j < ahead && j < from + at_once; j++)
                            for (int b = 0; b < batch; b++, count++) {
                                const int64_t when = net->step + j - (int64_t)tap * layer->dilation + length;
                                columns[count] = layer->ring + ((size_t)(when % length) * batch + b) * wide;
                                y[count] = layer->gates + ((size_t)j * batch + b) * gates;
                            }
                        work.product(&m, columns, count, y, 1, kind);
                    }
                }
            }
            float *now = layer->ring + (size_t)(net->step % length) * batch * wide;
            for (int b = 0; b < batch; b++) {
                work.write_column(now + b * wide, x + (size_t)b * residual, residual, kind);
                columns[b] = now + b * wide;
                y[b] = layer->gates + ((size_t)place * batch + b) * gates;
            }
            work.product(&layer->now, columns, batch, y, 1, kind);
            for (int b = 0; b < batch; b++) {
                work.gate(y[b], half, gated + (size_t)b * half);
                work.write_column(columns_half + b * narrow, gated + (size_t)b * half, half, kind);
                columns[b] = columns_half + b * narrow;
                y[b] = out + (size_t)b * rows_out;
            }
            work.product(&layer->out, columns, batch, y, 0, kind);
            for (int b = 0; b < batch; b++) {
                const float *result = y[b], *skips = result + (layer->has_residual ? residual : 0);
                float *mine = x + (size_t)b * residual, *sum = total + (size_t)b * skip;
                if (layer->has_residual)
                    for (int k = 0; k < residual; k++) mine[k] = mine[k] * net->keep + result[k];
                for (int k = 0; k < skip; k++) sum[k] += skips[k];
            }
        }
        for (int pass = 0; pass < 2; pass++) {
            float *from = pass ? hidden : total, *to = pass ? outputs : hidden;
            for (int b = 0; b < batch; b++) {
                float *mine = from + (size_t)b * skip;
                for (int k = 0; k < skip; k++) mine[k] = mine[k] > 0 ? mine[k] : 0;
                work.write_column(columns_skip + b * column_skip, mine, skip, kind);
                columns[b] = columns_skip + b * column_skip;
                y[b] = to + (size_t)b * (pass ? n_out : skip);
            }
            work.product(pass ? &net->last : &net->head, columns, batch, y, 0, kind);
        }
        for (int b = 0; b < batch; b++) {
            const float *mine = outputs + (size_t)b * n_out;
            const size_t at = (size_t)t * batch + b;
            if (all_outputs) memcpy(all_outputs + at * net->n_outputs, mine, sizeof(float) * net->n_outputs);
            const float sample = net->output == SOFTMAX
                                     ? draw_code(net, mine, value[at])
                                     : draw_mixture(net, mine, choice ? choice + at * net->n_mixtures : NULL, value[at]);
            net->previous[b] = signal[at] = sample;
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
