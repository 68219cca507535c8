/* Runs one level of `wn_level.c` on a network and rows from standard input, without Python: under sanitizers, with
 * instructions emulated, or for another processor. Without input it tells what the level is. Every array is allocated
 * for itself, so that a sanitizer sees who leaves it. */
#include <stdio.h>
#include <stdlib.h>

#include "wn.h"

#define JOINED(a, b) a##b
#define NAMED(a, b) JOINED(a, b)
#define USED NAMED(glowtron_level_, LEVEL)
extern const Level USED;

static void *take(size_t size) {
    void *at = malloc(size ? size : 1);
    if (!at || fread(at, 1, size, stdin) != size) exit(2);
    return at;
}

static int32_t number(void) {
    int32_t *at = take(4), n = *at;
    free(at);
    return n;
}

static Matrix matrix(void) {
    int32_t n_words = number(), n_out = number();
    uint32_t *weight = take(4ul * n_words * n_out);
    float *scale = take(4ul * n_out);
    return (Matrix){weight, scale, take(4ul * n_out), n_words};
}

static float *floats(void) {
    int32_t n = number();
    return take(4ul * n);
}

static uint32_t *rows(int kind, int n_rows, int n, int n_words) {
    float *x = take(4ul * n_rows * n);
    uint32_t *out = malloc(4ul * n_rows * (n_words + 1));
    USED.write_rows(kind, x, n_rows, n, n_words, out);
    free(x);
    return out;
}

int main(int n_arguments, char **arguments) {
    (void)arguments;
    if (n_arguments > 1) {
        printf("%d %d %d %d %d\n", USED.lanes, USED.kinds, USED.zero, USED.most, USED.most_weight);
        return 0;
    }
    Net net;
    int32_t *sizes[] = {&net.kind, &net.n_layers, &net.n_taps, &net.width, &net.n_skip};
    for (int i = 0; i < 5; i++) *sizes[i] = number();
    int n_rows = number(), n_in = number(), n_conditioning = number();
    Call call = {.n_rows = n_rows, .n_threads = 1};
    call.step = number();
    call.margin = number();
    net.start = matrix();
    net.start_bias = floats();
    Layer *layers = malloc(net.n_layers * sizeof *layers);
    for (int i = 0; i < net.n_layers; i++) {
        layers[i].dilation = number();
        layers[i].has_residual = number();
        layers[i].condition = matrix();
        Matrix *taps = malloc(net.n_taps * sizeof *taps);
        for (int tap = 0; tap < net.n_taps; tap++) taps[tap] = matrix();
        layers[i].taps = taps;
        layers[i].out = matrix();
        layers[i].bias = floats();
        layers[i].out_bias = floats();
    }
    net.layers = layers;
    call.x = rows(FLOAT32, n_rows, n_in, net.start.n_words);
    call.conditions = rows(net.kind, n_rows, n_conditioning, layers[0].condition.n_words);
    size_t seen = 4ul * (n_rows + 2 * call.margin) * (layers[0].out.n_words + 1);
    for (int i = 0; i < 2; i++) call.seen[i] = malloc(seen);
    call.hidden = malloc(net.kind == FLOAT32 ? 1 : 4ul * n_rows * net.width);
    call.skip = calloc(n_rows * net.n_skip, 4);
    call.scratch = malloc(4 * USED.scratch(&net));
    USED.run(&net, &call);
    fwrite(call.skip, 4, n_rows * net.n_skip, stdout);
    return 0;
}
