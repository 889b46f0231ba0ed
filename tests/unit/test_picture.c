/* test_picture.c - resampling equals Pillow 13's to the bit: SHA-256 of what it gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/hash.h"
#include "engine/wan/picture.h"

enum { WIDTH = 40, HEIGHT = 30 };

static const struct {
    int width, height;
    PictureFilter filter;
    const char *sha256;
} sizes[] = {
    {40, 30, PICTURE_LANCZOS, "29ec94d082aa3b9e724d49653d5e147facaa21e65c7af146121cd900bcb09c59"},
    {20, 60, PICTURE_LANCZOS, "1f48b392c97e784d6922a1fb95d39ca8727e8fca384408ced1dace3927dfb996"},
    {64, 48, PICTURE_LANCZOS, "9f095e32756e03e577608213313123f5412f5bafcfdfe9be8f05c8e9ffca376b"},
    {38, 7, PICTURE_LANCZOS, "dcf73aea5e1fa8026c73ac839865166c592be156ecbbf23fffca0abdf192206e"}, /* columns first */
    {16, 16, PICTURE_BICUBIC, "57d6d389065641ae00b6f01676af78aae1b85d48f9d5bb30b5bbba11fc6b279f"},
    {56, 42, PICTURE_BICUBIC, "bb13482b775fe0ba3c500ea9436b867f972309b6298a78d13814c222c1c18685"},
};

static void equals_pillow(void **state)
{
    (void)state;
    uint8_t rgb[HEIGHT][WIDTH][3];
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++) rgb[y][x][c] = (uint8_t)((x * 37 + y * 91 + c * 53 + x * y * 7) % 256);
    const Picture p = {WIDTH, HEIGHT, &rgb[0][0][0]};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char hash[HASH_TEXT];
        uint8_t *out = picture_resize(&p, sizes[i].width, sizes[i].height, sizes[i].filter);
        hash_bytes(out, (size_t)sizes[i].width * (size_t)sizes[i].height * 3, hash);
        free(out);
        if (strcmp(hash, sizes[i].sha256) != 0) fail_msg("%d x %d", sizes[i].width, sizes[i].height);
    }
}

/* Halving a ramp bilinearly takes the mean of two neighbours; a constant stays one. */
static void bilinear(void **state)
{
    (void)state;
    float ramp[1][4][3];
    for (int x = 0; x < 4; x++)
        for (int c = 0; c < 3; c++) ramp[0][x][c] = (float)x;
    float *half = picture_bilinear(&ramp[0][0][0], 4, 1, 2, 1);
    assert_true(half[0] == 0.5f && half[3] == 2.5f);
    free(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_pillow), cmocka_unit_test(bilinear)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
