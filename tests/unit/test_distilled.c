/* test_distilled.c - what step-distilled weights say of themselves, and what fits them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/distilled.h"
#include "common/file.h"

static const char file[] = "distilled.safetensors";

/* A safetensors file that is its header. */
static void write_header(const char *json)
{
    const uint64_t length = strlen(json);
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    for (int i = 0; i < 8; i++) fputc((int)(length >> (8 * i) & 255), f);
    fputs(json, f);
    fclose(f);
}

static Status read_metadata(const char *said, Distilled *out)
{
    char *json = text_format("{\"__metadata__\":{\"reelwright\":\"%s\"}}", said);
    write_header(json);
    free(json);
    return distilled_of_adapter(file, out);
}

static void reads_what_an_adapter_says(void **state)
{
    Distilled d;
    (void)state;
    assert_int_equal(
        read_metadata("{\\\"distilled\\\": {\\\"steps\\\": 8, \\\"flow_shift\\\": 3, \\\"scheduler\\\": \\\"lcm\\\"}}",
                      &d)
            .err,
        OK);
    assert_int_equal(d.steps, 8);
    assert_true(d.flow_shift == 3);
    assert_string_equal(d.scheduler, "lcm");
    assert_int_equal(read_metadata("{\\\"distilled\\\": {\\\"steps\\\": 4}}", &d).err, OK);
    assert_true(d.steps == 4 && d.flow_shift == 5);
    assert_string_equal(d.scheduler, "euler");
    assert_int_equal(read_metadata("{}", &d).err, OK);
    assert_int_equal(d.steps, 0);
    write_header("{\"__metadata__\":{\"format\":\"pt\"}}");
    assert_int_equal(distilled_of_adapter(file, &d).err, OK);
    assert_int_equal(d.steps, 0);
    assert_int_equal(distilled_of_adapter("nowhere.safetensors", &d).err, OK); /* whoever loads it says so */
    remove(file);
}

static void names_what_is_wrong(void **state)
{
    static const struct {
        const char *said, *message;
    } row[] = {{"no object", "expected a JSON object"},
               {"{\\\"distilled\\\": 4}", "is no object"},
               {"{\\\"distilled\\\": {}}", "steps is missing"},
               {"{\\\"distilled\\\": {\\\"steps\\\": 0}}", "steps = 0, expected 1 to 1000"},
               {"{\\\"distilled\\\": {\\\"steps\\\": 4, \\\"scheduler\\\": \\\"unipc\\\"}}", "expected euler or lcm"}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Distilled d;
        const Status status = read_metadata(row[i].said, &d);
        assert_int_equal(status.err, ERR_INPUT);
        if (!strstr(status.message, row[i].message) || !strstr(status.message, file))
            fail_msg("\"%s\" does not say \"%s\"", status.message, row[i].message);
    }
    remove(file);
}

static void says_what_does_not_fit(void **state)
{
    const Distilled d = {.steps = 4, .flow_shift = 5, .scheduler = "euler"}, none = {0};
    ShotSpec s = {.steps = 50, .guidance = 5, .flow_shift = 3, .scheduler = "unipc"};
    char text[DISTILLED_ADVICE];
    (void)state;
    assert_false(distilled_advice(&none, &s, text));
    assert_true(distilled_advice(&d, &s, text));
    assert_non_null(strstr(text, "made for 4 steps, flow shift 5"));
    assert_non_null(
        strstr(text, "this shot has 50 steps, flow shift 3, guidance 5, scheduler unipc and standard sigmas"));
    distilled_apply(&d, &s);
    assert_false(distilled_advice(&d, &s, text));
    assert_true(s.steps == 4 && s.guidance == 1 && s.flow_shift == 5);
    assert_string_equal(s.sigmas, "distilled");
    s.guidance = 3;
    assert_true(distilled_advice(&d, &s, text));
}

static void knows_their_names(void **state)
{
    static const char *const yes[] = {"a/Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors",
                                      "Wan2.2-Lightning_T2V-A14B-4steps-lora_HIGH_fp16.safetensors",
                                      "Wan21_CausVid_14B_T2V_lora_rank32.safetensors", "self_forcing_dmd.safetensors"},
                             *const no[] = {"distilled-whisky/brand-style.safetensors", "lora0.safetensors"};
    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) assert_true(distilled_by_name(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) assert_false(distilled_by_name(no[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_what_an_adapter_says),
                                       cmocka_unit_test(names_what_is_wrong), cmocka_unit_test(says_what_does_not_fit),
                                       cmocka_unit_test(knows_their_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
