/* Blocks of few bits: the numbers that the gguf package (0.x, PyPI) reads in the same bytes, bit for bit; a GGUF file cut or changed
 * anywhere is refused or read within its bytes. blocks.safetensors: random blocks NAME.raw and what gguf.quants.dequantize gives, NAME. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "engine/weights/safetensors.h"

static void blocks_are_what_gguf_reads(void **state)
{
    (void)state;
    static const struct {
        const char *name, *raw;
        StoredType type;
    } kind[] = {{"Q4_0", "Q4_0.raw", STORED_Q4_0}, {"Q4_1", "Q4_1.raw", STORED_Q4_1}, {"Q5_0", "Q5_0.raw", STORED_Q5_0},
                {"Q5_1", "Q5_1.raw", STORED_Q5_1}, {"Q8_0", "Q8_0.raw", STORED_Q8_0}, {"Q2_K", "Q2_K.raw", STORED_Q2_K},
                {"Q3_K", "Q3_K.raw", STORED_Q3_K}, {"Q4_K", "Q4_K.raw", STORED_Q4_K}, {"Q5_K", "Q5_K.raw", STORED_Q5_K},
                {"Q6_K", "Q6_K.raw", STORED_Q6_K}};
    Safetensors *file = NULL;
    assert_int_equal(safetensors_open_file(SOURCE_DIR "/tests/unit/blocks.safetensors", &file).err, OK);
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
        const StoredTensor *raw = safetensors_find(file, kind[i].raw), *want = safetensors_find(file, kind[i].name);
        assert_non_null(raw);
        assert_non_null(want);
        int64_t numbers;
        size_t bytes;
        stored_block(kind[i].type, &numbers, &bytes);
        assert_int_equal(raw->bytes / bytes * (size_t)numbers, stored_count(want));
        StoredTensor t = {.type = kind[i].type, .ndim = 1, .dim = {stored_count(want)}, .data = raw->data};
        float *got = malloc(want->bytes);
        stored_to_float(&t, 1, got);
        for (int64_t k = 0; k < stored_count(want); k++) {
            float expected;
            memcpy(&expected, (const char *)want->data + (size_t)k * sizeof expected, sizeof expected);
            if (got[k] != expected)
                fail_msg("%s: number %d is %.9g, expected %.9g", kind[i].name, (int)k, got[k], expected);
        }
        free(got);
    }
    safetensors_close(&file);
}

static void a_damaged_gguf_is_refused(void **state)
{
    (void)state;
    char *data;
    size_t bytes;
    Safetensors *file = NULL;
    const char *path = SOURCE_DIR "/tests/parity/fixtures/calls/single-gguf/model/transformer/wan-gguf.gguf";
    assert_int_equal(file_read(path, 1 << 24, &data, &bytes).err, OK);
    assert_int_equal(safetensors_open_memory("whole", data, bytes, &file).err, OK);
    const StoredTensor *t = safetensors_find(file, "patch_embedding.weight");
    assert_non_null(t);
    assert_int_equal(t->ndim, 5); /* the shape that is kept apart */
    safetensors_close(&file);
    for (size_t cut = 4; cut < bytes; cut = cut * 5 / 4 + 1) {
        Status s = safetensors_open_memory("cut", data, cut, &file);
        assert_int_equal(s.err, ERR_INPUT);
        assert_non_null(strstr(s.message, "cut"));
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_what_gguf_reads),
                                       cmocka_unit_test(a_damaged_gguf_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
