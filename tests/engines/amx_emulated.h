/* The tile instructions of AMX that `wn_level.c` uses, in plain C, for processors without them: what Intel's manual says
 * that they do, and an end with a message where it says that they fault. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    uint8_t palette, first_row, unused[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} emulated_config;
static uint8_t emulated_tile[8][16][64];

static inline void emulated_need(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "AMX: %s\n", what);
    exit(3);
}

static inline void emulated_is_configured(int t) {
    emulated_need(emulated_config.palette == 1, "a tile is used before tiles are configured");
    emulated_need(t >= 0 && t < 8 && emulated_config.rows[t] && emulated_config.bytes[t], "no such tile");
}

static inline void _tile_loadconfig(const void *at) {
    memcpy(&emulated_config, at, sizeof emulated_config);
    emulated_need(emulated_config.palette == 1, "another palette than 1");
    emulated_need(!emulated_config.first_row, "a row to start from");
    for (int i = 0; i < 14; i++) emulated_need(!emulated_config.unused[i], "reserved bytes are not zero");
    for (int t = 0; t < 16; t++) {
        int rows = emulated_config.rows[t], bytes = emulated_config.bytes[t];
        emulated_need(t < 8 ? rows <= 16 && bytes <= 64 && bytes % 4 == 0 : !rows && !bytes, "a tile of that size");
    }
    memset(emulated_tile, 0, sizeof emulated_tile);
}

static inline void _tile_release(void) { memset(&emulated_config, 0, sizeof emulated_config); }

static inline void _tile_zero(int t) {
    emulated_is_configured(t);
    memset(emulated_tile[t], 0, sizeof emulated_tile[t]);
}

static inline void _tile_loadd(int t, const void *at, int64_t stride) {
    _tile_zero(t);
    for (int r = 0; r < emulated_config.rows[t]; r++)
        memcpy(emulated_tile[t][r], (const char *)at + r * stride, emulated_config.bytes[t]);
}

static inline void _tile_stored(int t, void *at, int64_t stride) {
    emulated_is_configured(t);
    for (int r = 0; r < emulated_config.rows[t]; r++)
        memcpy((char *)at + r * stride, emulated_tile[t][r], emulated_config.bytes[t]);
}

static inline void emulated_fit(int sum, int a, int b) {
    emulated_is_configured(sum), emulated_is_configured(a), emulated_is_configured(b);
    emulated_need(sum != a && sum != b && a != b, "one tile twice in a product");
    emulated_need(emulated_config.rows[sum] == emulated_config.rows[a] &&
                      emulated_config.bytes[sum] == emulated_config.bytes[b] &&
                      emulated_config.bytes[a] == 4 * emulated_config.rows[b],
                  "tiles that do not fit each other");
}

static inline float emulated_float(const uint8_t *at) { /* Of bfloat16, denormals as zero. */
    uint32_t bits = (uint32_t)at[1] << 24 | (uint32_t)at[0] << 16;
    float number;
    if (!(bits & 0x7f800000)) bits &= 0x80000000;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static inline void _tile_dpbf16ps(int sum, int a, int b) {
    emulated_fit(sum, a, b);
    for (int m = 0; m < emulated_config.rows[sum]; m++)
        for (int n = 0; n < emulated_config.bytes[sum] / 4; n++) {
            float pair[2] = {0, 0}, total;
            for (int k = 0; k < emulated_config.rows[b]; k++)
                for (int i = 0; i < 2; i++)
                    pair[i] += emulated_float(emulated_tile[a][m] + 4 * k + 2 * i) *
                               emulated_float(emulated_tile[b][k] + 4 * n + 2 * i);
            memcpy(&total, emulated_tile[sum][m] + 4 * n, sizeof total);
            total += pair[0] + pair[1];
            memcpy(emulated_tile[sum][m] + 4 * n, &total, sizeof total);
        }
}

static inline void _tile_dpbssd(int sum, int a, int b) {
    emulated_fit(sum, a, b);
    for (int m = 0; m < emulated_config.rows[sum]; m++)
        for (int n = 0; n < emulated_config.bytes[sum] / 4; n++) {
            int32_t total;
            memcpy(&total, emulated_tile[sum][m] + 4 * n, sizeof total);
            for (int k = 0; k < emulated_config.rows[b]; k++)
                for (int i = 0; i < 4; i++)
                    total += (int32_t)(int8_t)emulated_tile[a][m][4 * k + i] * (int8_t)emulated_tile[b][k][4 * n + i];
            memcpy(emulated_tile[sum][m] + 4 * n, &total, sizeof total);
        }
}
