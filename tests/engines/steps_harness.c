/* Takes the steps of an LSTM forwards and back by one level of `wn_level.c`, without Python: under sanitizers. Every
 * array is allocated for itself, so that a sanitizer sees who leaves it; what is read comes from standard input. */
#include <stdio.h>
#include <stdlib.h>

#include "wn.h"

#define JOINED(a, b) a##b
#define NAMED(a, b) JOINED(a, b)
#define USED NAMED(glowtron_level_, LEVEL)
extern const Level USED;

static float *take(size_t n) {
    float *at = malloc(4 * n + 1);
    if (!at || fread(at, 4, n, stdin) != n) exit(2);
    return at;
}

static void give(const float *at, size_t n) { fwrite(at, 4, n, stdout); }

int main(void) {
    int32_t sizes[4];
    if (fread(sizes, 4, 4, stdin) != 4) return 2;
    size_t n_steps = sizes[0], batch = sizes[1], size = sizes[2], n_in = sizes[3], lanes = USED.lanes;
    size_t channels = (size + lanes - 1) / lanes * lanes, columns = (n_in + 2 * lanes - 1) / (2 * lanes) * (2 * lanes);
    Recurrence forwards = {.batch = batch, .size = size, .n_in = n_in, .n_threads = 1};
    forwards.weight = take(4 * channels * n_in);
    forwards.inputs = take(n_steps * batch * 4 * size);
    forwards.keep = take(n_steps * batch * size);
    forwards.seen = take((n_steps + 1) * batch * n_in);
    forwards.gates = calloc(n_steps * batch * 4 * size, 4);
    forwards.states = calloc((n_steps + 1) * batch * size, 4);
    for (size_t t = 0; t < n_steps; t++) USED.step(&forwards, t);
    give(forwards.seen, (n_steps + 1) * batch * n_in);
    Recurrence back = forwards;
    back.weight = take(columns * 4 * size);
    back.grad_seen = take(n_steps * batch * n_in);
    back.grad_now = take(batch * n_in);
    back.grad_state = calloc(batch * size, 4);
    back.grad_inputs = calloc(n_steps * batch * 4 * size, 4);
    for (size_t t = n_steps; t-- > 0;) USED.step_back(&back, t);
    give(back.grad_inputs, n_steps * batch * 4 * size);
    return 0;
}
