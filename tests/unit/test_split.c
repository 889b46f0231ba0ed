/* The split that is chosen, by hand for the published models; what is refused; shares of heads and columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/wan/split.h"
#include "engine/weights/weights.h"

static ModelConfig model(int heads, int layers, int ffn)
{
    ModelConfig c = {.dit = {.heads = heads,
                             .head_dim = 128,
                             .ffn_dim = ffn,
                             .layers = layers,
                             .text_dim = 4096,
                             .freq_dim = 256,
                             .in_channels = 16,
                             .out_channels = 16,
                             .patch = {1, 2, 2},
                             .cross_norm = true}};
    return c;
}

static void assert_chosen(const SplitCase *c, int guidance, int sequence, int tensor)
{
    Split s;
    Status status = split_choose(c, &s);
    assert_string_equal(status.message, "");
    assert_int_equal(s.guidance, guidance);
    assert_int_equal(s.sequence, sequence);
    assert_int_equal(s.tensor, tensor);
}

/* 14B in bf16: 28.6 GB. 81 frames of 1280x720 are 75,600 tokens. */
static void the_least_traffic_that_fits(void **state)
{
    (void)state;
    const ModelConfig c = model(40, 40, 13824);
    SplitCase q = {.config = &c, .ranks = 8, .tokens = 75600, .guided = true, .elem_bytes = 2};
    q.memory_bytes = 70LL << 30;
    assert_chosen(&q, 2, 4, 1);
    q.memory_bytes = 20LL << 30; /* half of the weights */
    assert_chosen(&q, 2, 2, 2);
    q.memory_bytes = 5LL << 30; /* an eighth, and time_proj of it alone is whole */
    assert_chosen(&q, 1, 1, 8);
    q.memory_bytes = 1LL << 30; /* it does not fit however it is divided */
    assert_chosen(&q, 1, 1, 8);
    q.memory_bytes = 70LL << 30;
    q.guided = false;
    assert_chosen(&q, 1, 8, 1);
    q.ranks = 1;
    assert_chosen(&q, 1, 1, 1);
}

static void heads_that_the_ranks_do_not_divide(void **state)
{
    (void)state;
    const ModelConfig c = model(12, 30, 8960); /* 1.3B */
    SplitCase q = {.config = &c, .ranks = 8, .tokens = 32760, .elem_bytes = 2, .memory_bytes = 1LL << 30};
    assert_chosen(&q, 1, 2, 4); /* 2.8 GB do not fit whole */
    const Split eight = {1, 1, 8}, uneven = {1, 8, 1};
    assert_int_equal(split_check(&q, &eight).err, ERR_INPUT);
    assert_int_equal(split_check(&q, &uneven).err, OK);
    q.tokens = 4;
    assert_int_equal(split_check(&q, &uneven).err, ERR_INPUT);
    q.ranks = 5;
    assert_int_equal(split_choose(&q, &(Split){0}).err, ERR_INPUT);
}

static void traffic_by_the_formulas(void **state)
{
    (void)state;
    const ModelConfig c = model(40, 40, 13824);
    const SplitCase q = {.config = &c, .ranks = 4, .tokens = 1000, .elem_bytes = 2};
    const int64_t numbers = 1000LL * 5120 * 40;
    assert_int_equal(split_traffic_bytes(&q, &(Split){1, 1, 4}), 3 * 2 * 3 * numbers / 4 * 4);
    assert_int_equal(split_traffic_bytes(&q, &(Split){1, 4, 1}), 4 * 3 * numbers / 4 / 4 * 2);
    assert_int_equal(split_traffic_bytes(&q, &(Split){1, 1, 1}), 0);
    assert_true(split_weight_bytes(&q, &(Split){1, 1, 4}) < split_weight_bytes(&q, &(Split){1, 4, 1}) * 26 / 100);
}

static void numbers_from_a_text(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "2", "2x1", "2x1x", "2x1x4x1", "0x1x1", "-1x1x1", "ax1x1", "1x1x99999"};
    Split s;
    assert_int_equal(split_parse("2x1x4", &s).err, OK);
    assert_int_equal(s.guidance * 100 + s.sequence * 10 + s.tensor, 214);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(split_parse(bad[i], &s).err, ERR_INPUT);
}

static void encoders_take_as_many_as_have_heads(void **state)
{
    (void)state;
    assert_int_equal(split_encoder_ranks(64, 8), 8);
    assert_int_equal(split_encoder_ranks(16, 32), 16);
    assert_int_equal(split_encoder_ranks(3, 4), 2);
    assert_int_equal(split_encoder_ranks(1, 4), 1);
}

static void shares_cover_a_dimension_between_heads(void **state)
{
    (void)state;
    int64_t next = 0;
    for (int rank = 0; rank < 2; rank++) {
        WeightShare s = weights_share(48, 3, rank, 2);
        assert_int_equal(s.first, next);
        assert_int_equal(s.count % 16, 0);
        next = s.first + s.count;
    }
    assert_int_equal(next, 48);
    assert_int_equal(weights_share(13824, 0, 3, 8).first % 16, 0);
    assert_int_equal(weights_share(75, 0, 1, 2).first, 37);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_least_traffic_that_fits),
                                       cmocka_unit_test(heads_that_the_ranks_do_not_divide),
                                       cmocka_unit_test(traffic_by_the_formulas),
                                       cmocka_unit_test(numbers_from_a_text),
                                       cmocka_unit_test(encoders_take_as_many_as_have_heads),
                                       cmocka_unit_test(shares_cover_a_dimension_between_heads)};
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
