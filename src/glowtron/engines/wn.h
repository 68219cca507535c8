/* What `wn.c` and its levels share: the WN of one coupling, laid out, and one call of it.
 *
 * A row of activations is `n_words` words of 32 bits and behind them its scale, a float: a word holds one float32, two
 * bfloat16, two numbers of sixteen bits or four of eight. Of a matrix, `2 * lanes` outputs make a panel, which lies word
 * by word: (panel, word, output of the panel). Then every product is the same loop over words, whatever is in them.
 */
#include <stdint.h>

enum { FLOAT32, BFLOAT16, INT16, INT8, N_KINDS };

/* Weights (n_out, n_in) as above, outputs in the order of their panels. */
typedef struct {
    const uint32_t *weight;
    const float *scale;  /* What a weight of each output counts, and */
    const int32_t *zero; /* what its sum begins with, as eight bits are stored without a sign: of integers only. */
    int32_t n_words;
} Matrix;

typedef struct {
    Matrix condition;
    const Matrix *taps; /* The earliest first. */
    Matrix out;         /* Residual, then skip. */
    const float *bias;  /* Of the gates, in the order of their panels. */
    const float *out_bias;
    int32_t dilation, has_residual;
} Layer;

typedef struct {
    Matrix start; /* In float32, whatever the kind. */
    const float *start_bias;
    const Layer *layers;
    int32_t n_layers, n_taps, kind, width, n_skip; /* The width is padded to whole panels. */
} Net;

typedef struct {
    int32_t n_rows, step, margin, n_threads;
    const uint32_t *x;          /* (R, n_in + 1), rows of FLOAT32 */
    const uint32_t *conditions; /* (R, words + 1) */
    uint32_t *seen[2];          /* (margin + R + margin, words + 1), what a layer reads and what it writes */
    float *hidden;              /* (R, width); not of FLOAT32, where it is what is seen */
    float *skip;                /* (R, n_skip), added to */
    float *scratch;             /* (threads, `glowtron_wn_scratch`) */
} Call;

/* An LSTM whose inputs' part of the gates is known for all steps S. Gates in torch's order: input, forget, cell, output. */
typedef struct {
    int32_t batch, size, n_in, n_threads; /* n_in numbers are multiplied in a step, the first `size` of them its output. */
    const float *weight; /* Forwards: (groups of channels, word, 4 gates of `lanes`); back: panels of its transpose. */
    const float *inputs; /* (S, B, 4 size) */
    const float *keep;   /* (S, B, size) dropout masks, or NULL */
    float *gates;        /* (S, B, 4 size) after sigmoid and tanh */
    float *states;       /* (S + 1, B, size) */
    float *seen;         /* (S + 1, B, n_in) what a step multiplies */
    const float *grad_seen; /* (S, B, n_in) gradients of `seen` from outside, of step 1 and later */
    float *grad_now;        /* (B, n_in) in: all of the gradient of what a step gave; out: of what the step before gave */
    float *grad_state;      /* (B, size) */
    float *grad_inputs;     /* (S, B, 4 size) */
} Recurrence;

typedef struct {
    int32_t lanes, kinds; /* A bit for each kind that this level multiplies. */
    int32_t zero, most;   /* Of activations in INT8: how zero is stored, and the largest. */
    int32_t most_weight;  /* The largest weight in INT8. */
    void (*run)(const Net *, const Call *);
    void (*write_rows)(int kind, const float *x, int64_t n_rows, int n, int n_words, uint32_t *rows);
    int64_t (*scratch)(const Net *);
    void (*step)(const Recurrence *, int64_t t);      /* Writes gates[t], states[t + 1] and the outputs in seen[t + 1]. */
    void (*step_back)(const Recurrence *, int64_t t); /* Writes grad_inputs[t]. */
} Level;
