/* test_noise.c - draws equal torch.randn's (2.15, CPU generator, float32) bit for bit: SHA-256 of what torch gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/hash.h"
#include "engine/engine.h"

static const struct {
    uint64_t seed;
    int64_t count;
    const char *sha256;
} draws[] = {
    /* fewer than 16: double precision in pairs */
    {0u, 1, "3b8ea0dd3165a7600cce7539f943a28fb9addc8e69c31ae805e26b91a2862b93"},
    {0u, 2, "057f451be76a95929ddfe652a6b5c3b160810ac1ec48722dc3df93b7b8f3c91f"},
    {1u, 5, "90f5f4fe6ac6802b09373caa194a97b6cc6a5b76277ed3dcde65711f6a20dc56"},
    {7u, 15, "e8fe4bd30d2a1e6707f201ce1953551c14d950b51bda01acc49184b1107cbc27"},
    /* blocks of 16, with and without a rest */
    {0u, 16, "7648137a31024642604465428f1598d06f595259ac993612918498d7cde9b70c"},
    {0u, 17, "6d2169852e19b6d18ed57d5a11b37c14723e147e06b2b3868a4e6d8a30017923"},
    {3u, 31, "86f6756369206d206d64ff61e20c4407f3a9ba48cb463b231d2fc16177ac72da"},
    {1000u, 2304, "ce3a2e97b0a5a94cc196e37f1a9de2ddddb2fb5d5f3e526d935de453b60da0b3"},
    {42u, 100000, "d577cf2f85de7638e02060abec0df9127423d3e1c36369443db87bee3e2e6d62"},
    /* only the low 32 bits of a seed count */
    {4294967295u, 999, "168f90aa238abf13f95469fcf6cb1c683e5d39914eee00490898a48993debdd1"},
    {4294967296u, 999, "9e2a61377b971216c951c1113f28e56e05b1574a693b9d35bdc7dd011eabb924"},
    {9223372036854788153u, 4096, "18f288adc32b0df2235c3be1bf2d0ea769afe2f2892ce0bf1705f0043a5322dd"},
    {123456789012345678u, 1000003, "bcf75f3488cac5affc7620f1a818639e7764db7f2a6b479202c79553e6f8f533"},
};

static void equals_torch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof draws / sizeof *draws; i++) {
        char hash[HASH_TEXT];
        float *x = malloc((size_t)draws[i].count * sizeof *x);
        noise_fill(draws[i].seed, x, draws[i].count);
        hash_bytes(x, (size_t)draws[i].count * sizeof *x, hash);
        free(x);
        if (strcmp(hash, draws[i].sha256) != 0)
            fail_msg("seed %llu, %lld values", (unsigned long long)draws[i].seed, (long long)draws[i].count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_torch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
