/* A decoder step in the instructions of one LEVEL; `decoder_step.c` includes this once for each.
 *
 * Letters as in decoder_weights.py: B texts, N symbols, E the width in which attention compares, P prenet, A attention
 * LSTM, C encoder, D decoder LSTM. What is not `inline` from `multiply` on is called by all threads, which share the
 * outputs of each stage and meet behind it.
 */
#define dot_bytes FOR_LEVEL(dot_bytes)
#define exponential FOR_LEVEL(exponential)
#define clamped FOR_LEVEL(clamped)
#define sigmoid FOR_LEVEL(sigmoid)
#define hyperbolic_tangent FOR_LEVEL(hyperbolic_tangent)
#define split_into_bytes FOR_LEVEL(split_into_bytes)
#define widened FOR_LEVEL(widened)
#define rounded FOR_LEVEL(rounded)
#define dot_bfloat16 FOR_LEVEL(dot_bfloat16)
#define dot_float32 FOR_LEVEL(dot_float32)
#define multiply_four FOR_LEVEL(multiply_four)
#define multiply FOR_LEVEL(multiply)
#define gate FOR_LEVEL(gate)
#define step_lstm FOR_LEVEL(step_lstm)
#define energy_of FOR_LEVEL(energy_of)
#define softmax FOR_LEVEL(softmax)
#define sum_values FOR_LEVEL(sum_values)
#define move_on FOR_LEVEL(move_on)
#define finishes FOR_LEVEL(finishes)
#define read_one FOR_LEVEL(read_one)
#define attend FOR_LEVEL(attend)
#define decode FOR_LEVEL(decode)
#define take FOR_LEVEL(take)

/* e to the x to 2e-7 of itself, for |x| < 80. */
static inline float exponential(float x) {
    float whole = rintf(x * 1.44269504f);
    float rest = x - whole * 0.693145752f - whole * 1.42860677e-6f; /* ln 2 in two parts, the first of few bits. */
    float sum = 1.0f / 5040;
    sum = sum * rest + 1.0f / 720;
    sum = sum * rest + 1.0f / 120;
    sum = sum * rest + 1.0f / 24;
    sum = sum * rest + 1.0f / 6;
    sum = sum * rest + 0.5f;
    sum = sum * rest + 1.0f;
    sum = sum * rest + 1.0f;
    int32_t bits = ((int32_t)whole + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

static inline float clamped(float x, float bound) { return x < -bound ? -bound : x > bound ? bound : x; }

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-clamped(x, 60.0f))); }

static inline float hyperbolic_tangent(float x) { return 1.0f - 2.0f / (1.0f + exponential(2.0f * clamped(x, 20.0f))); }

/* A row in sixteen bits by bytes, so that products of bytes keep fifteen bits of it. Returns its largest value, which
 * becomes MOST. */
static float split_into_bytes(const float *x, int n, uint8_t *low, uint8_t *high) {
    float largest = 1e-20f;
#pragma omp simd reduction(max : largest)
    for (int k = 0; k < n; k++) largest = fabsf(x[k]) > largest ? fabsf(x[k]) : largest;
    float factor = MOST / largest;
#pragma omp simd
    for (int k = 0; k < n; k++) {
        int32_t number = (int32_t)rintf(x[k] * factor) + 32768;
        low[k] = (uint8_t)(number & 255);
        high[k] = (uint8_t)(number >> 8);
    }
    return largest;
}

static inline uint16_t rounded(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float widened(uint16_t bfloat16) {
    uint32_t bits = (uint32_t)bfloat16 << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* What four rows of bytes w say of a row of two bytes, low and high. */
static inline void dot_bytes(const int8_t *const w[4], const uint8_t *low, const uint8_t *high, int n, int32_t *low_sum,
                             int32_t *high_sum) {
    int k = 0;
    for (int i = 0; i < 4; i++) low_sum[i] = high_sum[i] = 0;
#ifdef __AVX512VNNI__
    /* By hand, as compilers unpack what this instruction takes as it is. */
    __m512i l[4], h[4];
    for (int i = 0; i < 4; i++) l[i] = h[i] = _mm512_setzero_si512();
    for (; k + 64 <= n; k += 64) {
        __m512i low_bytes = _mm512_loadu_si512(low + k), high_bytes = _mm512_loadu_si512(high + k);
        for (int i = 0; i < 4; i++) {
            __m512i weights = _mm512_loadu_si512(w[i] + k);
            l[i] = _mm512_dpbusd_epi32(l[i], low_bytes, weights);
            h[i] = _mm512_dpbusd_epi32(h[i], high_bytes, weights);
        }
    }
    for (int i = 0; i < 4; i++) {
        low_sum[i] = _mm512_reduce_add_epi32(l[i]);
        high_sum[i] = _mm512_reduce_add_epi32(h[i]);
    }
#endif
    for (int i = 0; i < 4; i++)
        for (int j = k; j < n; j++) {
            low_sum[i] += low[j] * w[i][j];
            high_sum[i] += high[j] * w[i][j];
        }
}

/* What four rows of bfloat16 w say of x, which is rounded as they are. */
static inline void dot_bfloat16(const uint16_t *const w[4], const uint16_t *x, int n, float *out) {
    int k = 0;
    for (int i = 0; i < 4; i++) out[i] = 0.0f;
#ifdef __AVX512BF16__
    __m512 sums[4];
    for (int i = 0; i < 4; i++) sums[i] = _mm512_setzero_ps();
    for (; k + 32 <= n; k += 32) {
        __m512bh own = (__m512bh)_mm512_loadu_si512(x + k);
        for (int i = 0; i < 4; i++) sums[i] = _mm512_dpbf16_ps(sums[i], (__m512bh)_mm512_loadu_si512(w[i] + k), own);
    }
    for (int i = 0; i < 4; i++) out[i] = _mm512_reduce_add_ps(sums[i]);
#endif
    for (int i = 0; i < 4; i++) {
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int j = k; j < n; j++) sum += widened(w[i][j]) * widened(x[j]);
        out[i] += sum;
    }
}

static inline void dot_float32(const float *const w[4], const float *x, int n, float *out) {
    const float *a = w[0], *b = w[1], *c = w[2], *d = w[3];
    float s = 0.0f, t = 0.0f, u = 0.0f, v = 0.0f;
#pragma omp simd reduction(+ : s, t, u, v)
    for (int k = 0; k < n; k++) {
        s += a[k] * x[k];
        t += b[k] * x[k];
        u += c[k] * x[k];
        v += d[k] * x[k];
    }
    out[0] = s, out[1] = t, out[2] = u, out[3] = v;
}

/* Up to four outputs from n on, of all texts: each weight is read once. `x` is what the texts' rows hold;
 * INT8 takes its bytes, which are added up as integers, so that no order of adding changes them. */
static void multiply_four(const Step *s, const Matrix *m, int n, const float *x, int stride, const float *limit,
                          float *out, int out_stride) {
    int64_t n_in = m->n_in, rows[4];
    int n_rows = m->n_out - n < 4 ? m->n_out - n : 4;
    for (int i = 0; i < 4; i++) rows[i] = (i < n_rows ? n + i : n) * n_in;
    for (int b = 0; b < s->n_texts; b++) {
        float found[4];
        if (m->kind == INT8) {
            const int8_t *all = m->weight, *w[4] = {all + rows[0], all + rows[1], all + rows[2], all + rows[3]};
            int32_t low[4], high[4];
            dot_bytes(w, s->low + b * n_in, s->high + b * n_in, m->n_in, low, high);
            float step = s->largest[b] / MOST;
            for (int i = 0; i < n_rows; i++) /* The high bytes are 128 too large. */
                found[i] = (float)(256.0 * (high[i] - 128 * m->sum[n + i]) + low[i]) * (m->scale[n + i] * step);
        } else if (m->kind == BFLOAT16) {
            const uint16_t *all = m->weight, *w[4] = {all + rows[0], all + rows[1], all + rows[2], all + rows[3]};
            dot_bfloat16(w, s->halves + b * n_in, m->n_in, found);
        } else {
            const float *all = m->weight, *w[4] = {all + rows[0], all + rows[1], all + rows[2], all + rows[3]};
            dot_float32(w, x + (int64_t)b * stride, m->n_in, found);
        }
        for (int i = 0; i < n_rows; i++) {
            float y = found[i] + m->bias[n + i];
            if (limit) y = fminf(fmaxf(y, 0.0f), limit[(int64_t)b * m->n_out + n + i]);
            out[(int64_t)b * out_stride + n + i] = y;
        }
    }
}

/* out (B, n_out) = x (B, n_in) times the matrix; with a limit (B, n_out) also relu and dropout: between 0 and that. */
static void multiply(const Step *s, const Matrix *m, const float *x, int stride, const float *limit, float *out,
                     int out_stride) {
    if (m->kind == BFLOAT16) {
#pragma omp for schedule(static) nowait
        for (int b = 0; b < s->n_texts; b++)
            for (int k = 0; k < m->n_in; k++) s->halves[(int64_t)b * m->n_in + k] = rounded(x[(int64_t)b * stride + k]);
        meet(s);
    } else if (m->kind == INT8) {
#pragma omp for schedule(static) nowait
        for (int b = 0; b < s->n_texts; b++)
            s->largest[b] = split_into_bytes(x + (int64_t)b * stride, m->n_in, s->low + (int64_t)b * m->n_in,
                                             s->high + (int64_t)b * m->n_in);
        meet(s);
    }
#pragma omp for schedule(static) nowait
    for (int n = 0; n < m->n_out; n += 4) multiply_four(s, m, n, x, stride, limit, out, out_stride);
    meet(s);
}

static void gate(const float *gates, int size, int from, int to, float *state, float *hidden) {
    const float *in = gates, *forget = gates + size, *output = gates + 2 * size, *candidate = gates + 3 * size;
#pragma omp simd
    for (int i = from; i < to; i++) {
        float c = state[i] * sigmoid(forget[i]) + sigmoid(in[i]) * hyperbolic_tangent(candidate[i]);
        state[i] = c;
        hidden[i] = hyperbolic_tangent(c) * sigmoid(output[i]);
    }
}

/* An LSTM: x (B, n_in) -> hidden (B, size), both in the texts' rows; called by all threads. */
static void step_lstm(const Step *s, const Matrix *m, const float *x, float *state, float *hidden, int stride) {
    enum { AT_ONCE = 64 };
    int size = m->n_out / 4, n_blocks = (size + AT_ONCE - 1) / AT_ONCE;
    multiply(s, m, x, stride, NULL, s->gates, m->n_out);
#pragma omp for schedule(static) nowait
    for (int i = 0; i < s->n_texts * n_blocks; i++) {
        int b = i / n_blocks, from = i % n_blocks * AT_ONCE, to = from + AT_ONCE < size ? from + AT_ONCE : size;
        gate(s->gates + (int64_t)b * m->n_out, size, from, to, state + (int64_t)b * size, hidden + (int64_t)b * stride);
    }
    meet(s);
}

/* How well one symbol answers the query, from what its neighbourhood was given so far. */
static float energy_of(const Step *s, const float *key, const float *compared, const float *seen) {
    enum { AT_ONCE = 64 };
    float sum = 0.0f;
    for (int first = 0; first < s->width; first += AT_ONCE) {
        int n = s->width - first < AT_ONCE ? s->width - first : AT_ONCE;
        _Alignas(64) float features[AT_ONCE] = {0};
        for (int e = 0; e < n; e++) features[e] = key[first + e] + compared[first + e];
        if (n == AT_ONCE) {
            /* Sums that stay in registers while all filters pass: of the last weights, and of the cumulative ones. */
            Lanes *all = (Lanes *)features, a = all[0], b = all[1], c = all[2], d = all[3];
            Lanes more_a = {0}, more_b = {0}, more_c = {0}, more_d = {0};
            for (int tap = 0; tap < s->taps; tap += 2) {
                const Lanes *filter = (const Lanes *)(s->location + (int64_t)tap * s->width + first);
                const Lanes *next = (const Lanes *)(s->location + (int64_t)(tap + 1) * s->width + first);
                float weight = seen[tap], cumulative = seen[tap + 1];
                a += weight * filter[0], more_a += cumulative * next[0];
                b += weight * filter[1], more_b += cumulative * next[1];
                c += weight * filter[2], more_c += cumulative * next[2];
                d += weight * filter[3], more_d += cumulative * next[3];
            }
            all[0] = a + more_a, all[1] = b + more_b, all[2] = c + more_c, all[3] = d + more_d;
        } else {
            for (int tap = 0; tap < s->taps; tap++)
                for (int e = 0; e < n; e++)
                    features[e] += seen[tap] * s->location[(int64_t)tap * s->width + first + e];
        }
        /* Loops of a known length with one thing to do: others, compilers take number by number. */
#pragma omp simd
        for (int e = 0; e < AT_ONCE; e++) features[e] = hyperbolic_tangent(features[e]);
        for (int e = 0; e < n; e++) features[e] *= s->energy[first + e];
#pragma omp simd reduction(+ : sum)
        for (int e = 0; e < AT_ONCE; e++) sum += features[e];
    }
    return sum;
}

/* The energies of real symbols -> weights that sum to one, zero for all others. */
static void softmax(float *x, const uint8_t *mask, int n, float *out) {
    float most = -INFINITY, total = 0.0f;
    for (int i = 0; i < n; i++)
        if (mask[i] && x[i] > most) most = x[i];
#pragma omp simd
    for (int i = 0; i < n; i++) out[i] = exponential(clamped(x[i] - most, 80.0f));
    /* What could be next to nothing is nothing: products with numbers that small take many times as long. */
    for (int i = 0; i < n; i++) total += out[i] = mask[i] && out[i] > 1e-20f ? out[i] : 0.0f;
    for (int i = 0; i < n; i++) out[i] /= total;
}

/* The values, weighted: channels `from` to `to` of the context. */
static void sum_values(const Step *s, const float *weights, const float *values, int from, int to, float *out) {
    if (to - from == 64) {
        Lanes a = {0}, b = {0}, c = {0}, d = {0};
        for (int n = 0; n < s->n_symbols; n++) {
            const Lanes *value = (const Lanes *)(values + (int64_t)n * s->context + from);
            float weight = weights[n];
            a += weight * value[0], b += weight * value[1], c += weight * value[2], d += weight * value[3];
        }
        Lanes *all = (Lanes *)(out + from);
        all[0] = a, all[1] = b, all[2] = c, all[3] = d;
        return;
    }
    for (int c = from; c < to; c++) out[c] = 0.0f;
    for (int n = 0; n < s->n_symbols; n++)
        for (int c = from; c < to; c++) out[c] += weights[n] * values[(int64_t)n * s->context + c];
}

/* Symbol by symbol, forward only: the rule of `glowtron.engines.monotonic`, with whose `Place` this has to agree. Whether
 * the symbol was left for another. */
static int move_on(Place *place, const double *longest, int reach, const float *proposed) {
    int symbol = place->symbol, n_ahead = place->n_symbols - 1 - symbol < reach ? place->n_symbols - 1 - symbol : reach;
    place->dwelt++;
    if (place->dwelt == 1 && symbol == 0) return 0; /* The first step is taken at the first symbol. */
    double here = proposed[symbol], all = here;
    int best = symbol + 1;
    for (int n = symbol + 1; n <= symbol + n_ahead; n++) {
        all += proposed[n];
        if (proposed[n] + 1e-9f > proposed[best] + 1e-9f) best = n;
    }
    place->survival *= here / (all > 1e-9 ? all : 1e-9);
    if (!n_ahead || (place->survival >= 0.5 && place->dwelt - 1 < longest[symbol])) return 0;
    place->symbol = best;
    place->dwelt = 1;
    place->survival = 1.0;
    return 1;
}

/* Whether speech ends with this step. */
static int finishes(Place *place, const double *longest, double stop_logit) {
    if (place->symbol < place->n_symbols - 1) return 0;
    place->survival *= 0.5 - 0.5 * tanh(stop_logit / 2);
    return place->survival < 0.5 || place->dwelt >= longest[place->symbol];
}

/* Proposed weights (N,) of one text -> the one symbol that is read. */
static void read_one(const Step *s, int b, const float *proposed, float *weights, float *history, float *context) {
    Place *place = s->places + b;
    int before = place->symbol, moved = move_on(place, s->longest + (int64_t)b * s->n_symbols, s->reach, proposed);
    if (moved || place->dwelt == 1) {
        history[2 * before] = 0.0f;
        history[2 * place->symbol] = 1.0f;
        const float *value = s->values + ((int64_t)b * s->n_symbols + place->symbol) * s->context;
        memcpy(context, value, s->context * sizeof(float));
    }
    history[2 * place->symbol + 1] += 1.0f;
    weights[place->symbol] = 1.0f;
}

/* From the last frames (B, n_mels), whose rows are `stride_of_frames` apart, to the attention weights (B, N), zeros
 * before, the history and the context. first_limit, second_limit: (B, P). */
static void attend(const Step *s, const float *frames, int stride_of_frames, const float *first_limit,
                   const float *second_limit, float *alignment) {
    enum { AT_ONCE = 64 };
    int p = s->prenet, a = s->attention, c = s->context, n_symbols = s->n_symbols;
    int n_blocks = (c + AT_ONCE - 1) / AT_ONCE;
    int stride = p + a + c + s->decoder, around = s->taps / 2 - 1;
    int64_t padded = n_symbols + around;
    float *attention_h = s->row + p, *context = attention_h + a;
    multiply(s, &s->first, frames, stride_of_frames, first_limit, s->hidden, p);
    multiply(s, &s->second, s->hidden, p, second_limit, s->row, stride);
    step_lstm(s, &s->attention_rnn, s->row, s->attention_c, attention_h, stride);
    multiply(s, &s->query, attention_h, stride, NULL, s->compared, s->width);
#pragma omp for schedule(static) nowait
    for (int i = 0; i < s->n_texts * n_symbols; i++) {
        int b = i / n_symbols, n = i % n_symbols;
        if (s->mask[i])
            s->energies[i] = energy_of(s, s->keys + (int64_t)i * s->width, s->compared + (int64_t)b * s->width,
                                       s->history + (b * padded + n) * 2);
    }
    meet(s);
#pragma omp for schedule(static) nowait
    for (int b = 0; b < s->n_texts; b++) {
        float *weights = alignment + (int64_t)b * n_symbols, *energies = s->energies + (int64_t)b * n_symbols;
        float *history = s->history + (b * padded + around / 2) * 2;
        softmax(energies, s->mask + (int64_t)b * n_symbols, n_symbols, s->places ? energies : weights);
        if (s->places)
            read_one(s, b, energies, weights, history, context + (int64_t)b * stride);
        else
            for (int n = 0; n < n_symbols; n++) {
                history[2 * n] = weights[n];
                history[2 * n + 1] += weights[n];
            }
    }
    meet(s);
    if (s->places) return;
#pragma omp for schedule(static) nowait
    for (int i = 0; i < s->n_texts * n_blocks; i++) {
        int b = i / n_blocks, from = i % n_blocks * AT_ONCE, to = from + AT_ONCE < c ? from + AT_ONCE : c;
        sum_values(s, alignment + (int64_t)b * n_symbols, s->values + (int64_t)b * n_symbols * c, from, to,
                   context + (int64_t)b * stride);
    }
    meet(s);
}

/* From the attention LSTM's output and the context to frames and stop logit: outputs (B, n_outputs). */
static void decode(const Step *s, float *outputs) {
    int p = s->prenet, a = s->attention, c = s->context, stride = p + a + c + s->decoder;
    step_lstm(s, &s->decoder_rnn, s->row + p, s->decoder_c, s->row + p + a + c, stride);
    multiply(s, &s->projection, s->row + p + a, stride, NULL, outputs, s->projection.n_out);
}

/* As `glowtron_take`. */
static int32_t take(const Step *given, int32_t n_steps, const float *frames, int32_t stride_of_frames,
                    const float *first_limits, const float *second_limits, float *outputs, float *alignment) {
    int n_outputs = given->projection.n_out, n_taken = 0, any_ended = 0;
    Meeting meeting = {0, 0, 0};
    Step own = *given;
    const Step *s = &own;
    own.meeting = &meeting;
#pragma omp parallel num_threads(s->n_threads)
    for (int step = 0; step < n_steps && !any_ended; step++) {
        int64_t texts = (int64_t)step * s->n_texts;
        const float *last = step ? outputs + (texts - s->n_texts + 1) * n_outputs - 1 - s->n_mels : frames;
        attend(s, last, step ? n_outputs : stride_of_frames, first_limits + texts * s->prenet,
               second_limits + texts * s->prenet, alignment + texts * s->n_symbols);
        decode(s, outputs + texts * n_outputs);
#pragma omp master
        {
            n_taken = step + 1;
            for (int b = 0; b < s->n_texts; b++) {
                float stop = outputs[(texts + b + 1) * n_outputs - 1];
                s->ended[b] = s->places ? finishes(s->places + b, s->longest + (int64_t)b * s->n_symbols, stop)
                                        : stop > s->stop_threshold;
                any_ended |= s->ended[b] && s->speaking[b];
            }
        }
        meet(s);
    }
    return n_taken;
}

#undef dot_bytes
#undef exponential
#undef clamped
#undef sigmoid
#undef hyperbolic_tangent
#undef split_into_bytes
#undef widened
#undef rounded
#undef dot_bfloat16
#undef dot_float32
#undef multiply_four
#undef multiply
#undef gate
#undef step_lstm
#undef energy_of
#undef softmax
#undef sum_values
#undef move_on
#undef finishes
#undef read_one
#undef attend
#undef decode
#undef take
