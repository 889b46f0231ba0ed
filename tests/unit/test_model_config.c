/* test_model_config.c - what a model folder may say: defaults, limits, and one clear message for each thing that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "common/chain.h"
#include "common/file.h"
#include "engine/engine.h"

static const char fixture[] = SOURCE_DIR "/tests/parity/fixtures/t2v-0/model",
                  speaks[] = SOURCE_DIR "/tests/parity/fixtures/s2v/two-heads/model";

static char *copy_of(const char *model)
{
    char *folder = text_copy("/tmp/model-XXXXXX");
    assert_non_null(mkdtemp(folder));
    char *command = text_format("cp -rL %s/. %s && chmod -R u+w %s", model, folder, folder);
    assert_int_equal(system(command), 0);
    free(command);
    return folder;
}

static char *copy_fixture(void) { return copy_of(fixture); }

static void remove_folder(char *folder)
{
    char *command = text_format("rm -r %s", folder);
    assert_int_equal(system(command), 0);
    free(command);
    free(folder);
}

/* Replaces the first occurrence of `from` in a file by `to`; from == NULL: the whole content. */
static void edit(const char *folder, const char *name, const char *from, const char *to)
{
    char *path = path_join(folder, name), *text = NULL, *made = NULL;
    size_t bytes = 0;
    if (from) {
        assert_int_equal(file_read(path, 1 << 20, &text, &bytes).err, OK);
        char *at = strstr(text, from);
        if (!at) fail_msg("%s has no %s", name, from);
        made = text_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    } else {
        made = text_copy(to);
    }
    assert_int_equal(file_replace(path, made, strlen(made)).err, OK);
    free(made);
    free(text);
    free(path);
}

static void reads_the_fixture(void **state)
{
    (void)state;
    ModelConfig *c;
    Status status = model_config_read(fixture, &c);
    if (failed(status)) fail_msg("%s", status.message);
    assert_string_equal(c->pipeline, "WanPipeline");
    assert_int_equal(c->text.d_model, 48);
    assert_int_equal(c->dit.heads * c->dit.head_dim, 64);
    assert_int_equal(c->vae.scale_space, 8);
    assert_int_equal(c->vae.scale_time, 4);
    assert_true(c->scheduler.flow_shift == 3.0);
    assert_int_equal(c->defaults.width, 832);
    assert_int_equal(c->defaults.frames, 81);
    assert_int_equal(c->defaults.steps, 50);
    char hash[HASH_TEXT], again[HASH_TEXT];
    assert_int_equal(model_config_hash(fixture, hash).err, OK);
    assert_int_equal(model_config_hash(fixture, again).err, OK);
    assert_string_equal(hash, again);
    model_config_free(&c);
}

static void folder_states_defaults(void **state)
{
    (void)state;
    char *folder = copy_fixture(), before[HASH_TEXT], after[HASH_TEXT];
    ModelConfig *c;
    model_config_hash(folder, before);
    edit(folder, "reelwright.json", NULL,
         "{\"width\":64,\"height\":112,\"frames\":33,\"fps\":8,\"steps\":16,\"guidance\":4,\"negative\":\"grey\"}");
    assert_int_equal(model_config_read(folder, &c).err, OK);
    assert_int_equal(c->defaults.height, 112);
    assert_int_equal(c->defaults.fps, 8);
    assert_string_equal(c->defaults.negative, "grey");
    model_config_free(&c);
    edit(folder, "reelwright.json", NULL, "{\"distilled\":{\"steps\":4,\"flow_shift\":8},\"width\":64,\"height\":48}");
    assert_int_equal(model_config_read(folder, &c).err, OK);
    assert_true(c->defaults.steps == 4 && c->defaults.guidance == 1 && c->defaults.flow_shift == 8);
    assert_string_equal(c->defaults.scheduler, "euler");
    assert_string_equal(c->defaults.sigmas, "distilled");
    model_config_free(&c);
    model_config_hash(folder, after);
    assert_string_equal(before, after); /* defaults do not change what a stated shot renders */
    edit(folder, "vae/config.json", "0.7571", "0.7572");
    model_config_hash(folder, after);
    assert_string_not_equal(before, after);
    remove_folder(folder);
}

static const struct {
    const char *file, *from, *to, *says;
} faults[] = {
    {"model_index.json", NULL, "{", "model_index.json:1"},
    {"model_index.json", NULL, "[]", "expected a JSON object"},
    {"model_index.json", "WanPipeline", "FluxPipeline", "_class_name = \"FluxPipeline\", expected WanPipeline"},
    {"model_index.json", "\"vae\"", "\"vea\"", "vae is missing"},
    {"model_index.json", "\"boundary_ratio\": null", "\"boundary_ratio\": 0.9", "there is no transformer_2"},
    {"text_encoder/config.json", "\"num_layers\": 2", "\"num_layers\": 0", "num_layers = 0, expected 1 to 512"},
    {"text_encoder/config.json", "\"d_model\": 48", "\"d_model\": \"48\"", "d_model is no whole number"},
    {"text_encoder/config.json", "gated-gelu", "relu", "feed_forward_proj = \"relu\""},
    {"transformer/config.json", "\"attention_head_dim\": 32", "\"attention_head_dim\": 33", "expected an even number"},
    {"transformer/config.json", "\"text_dim\": 48", "\"text_dim\": 64", "text_dim = 64, expected d_model = 48"},
    {"transformer/config.json", "\"in_channels\": 16", "\"in_channels\": 36",
     "in_channels = 36, expected 16 for WanPipeline"},
    {"transformer/config.json", "\"num_layers\": 2", "\"num_layers\": 1000000000000", "num_layers = 1000000000000"},
    {"transformer/config.json", "\"num_layers\": 2", "\"num_layers\": 3", "tensor \"blocks.2."},
    {"transformer/config.json", "\"num_layers\": 2", "\"num_layers\": 1", "has no place in the model"},
    {"transformer/config.json", "\"ffn_dim\": 112", "\"ffn_dim\": 128", "is [112,64], expected [128,64]"},
    {"vae/config.json", "\"z_dim\": 16", "\"z_dim\": 65", "z_dim = 65"},
    {"vae/config.json", "\"scale_factor_spatial\": 8", "\"scale_factor_spatial\": 16", "but the stages make it 8"},
    {"vae/config.json", "\"base_dim\": 4", "\"base_dim\": 8", "expected ["},
    {"vae/config.json", "2.8184", "0.0", "latents_std[0]"},
    {"scheduler/scheduler_config.json", "UniPCMultistepScheduler", "DDIMScheduler", "_class_name = \"DDIMScheduler\""},
    {"scheduler/scheduler_config.json", "\"use_flow_sigmas\": true", "\"use_flow_sigmas\": false", "use_flow_sigmas"},
    {"scheduler/scheduler_config.json", "flow_prediction", "epsilon", "prediction_type"},
    {"reelwright.json", NULL, "{\"distilled\": {\"steps\": 4, \"scheduler\": \"ddim\"}}", "expected euler or lcm"},
    {"reelwright.json", NULL, "{\"sigmas\": \"old\"}", "expected standard, classic or distilled"},
    {"transformer/diffusion_pytorch_model.safetensors", NULL, "short", "too short"},
    {"vae/diffusion_pytorch_model.safetensors", NULL, "\xff\xff\xff\xff\xff\xff\xff\x7f{}", "expected at most"},
    {"tokenizer/spiece.model", NULL, "nonsense", "spiece.model"},
    {"reelwright.json", NULL, "{\"frames\": 30}", "frames = 30, expected 4k+1 (29 or 33)"},
};

/* All are found when the folder is opened, before anything of size is read. */
static void refuses_faulty_folders(void **state)
{
    (void)state;
    const BackendOptions o = {.kind = BACKEND_REF};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        char *folder = copy_fixture();
        Engine *e;
        edit(folder, faults[i].file, faults[i].from, faults[i].to);
        Status status = engine_open(folder, &o, &e);
        if (status.err != ERR_INPUT || !strstr(status.message, faults[i].says) || !strstr(status.message, folder))
            fail_msg("%s: \"%s\", expected \"%s\"", faults[i].file, status.message, faults[i].says);
        assert_null(e);
        remove_folder(folder);
    }
}

static void refuses_missing_parts(void **state)
{
    (void)state;
    static const char *const parts[] = {"model_index.json",
                                        "text_encoder/config.json",
                                        "text_encoder/model.safetensors",
                                        "transformer/config.json",
                                        "transformer/diffusion_pytorch_model.safetensors",
                                        "vae/config.json",
                                        "vae/diffusion_pytorch_model.safetensors",
                                        "scheduler/scheduler_config.json",
                                        "tokenizer/tokenizer_config.json"};
    const BackendOptions o = {.kind = BACKEND_REF};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *folder = copy_fixture(), *path = path_join(folder, parts[i]);
        Engine *e;
        assert_int_equal(unlink(path), 0);
        Status status = engine_open(folder, &o, &e);
        if (status.err != ERR_INPUT || !strstr(status.message, path)) fail_msg("%s: \"%s\"", parts[i], status.message);
        free(path);
        remove_folder(folder);
    }
    Engine *e;
    assert_int_equal(engine_open("/nowhere", &o, &e).err, ERR_INPUT);
}

/* Of two transformers: the key and both its values. */
static void compares_two_transformers(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } other[] = {
        {"\"num_layers\": 2", "\"num_layers\": 3", "num_layers = 3, expected 2 as in transformer/config.json"},
        {"\"patch_size\": [", "\"patch_size\": [1, 2, 4], \"was\": [", "patch_size = [1,2,4], expected [1,2,2]"},
        {"\"eps\": 1e-06", "\"eps\": 1e-05", "eps = 1e-05, expected 1e-06"},
        {"\"cross_attn_norm\": true", "\"cross_attn_norm\": false", "cross_attn_norm = false, expected true"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        char *copy = copy_of(SOURCE_DIR "/tests/parity/fixtures/calls/experts/model");
        ModelConfig *c;
        edit(copy, "transformer_2/config.json", other[i].from, other[i].to);
        Status status = model_config_read(copy, &c);
        if (status.err != ERR_INPUT || !strstr(status.message, other[i].says) ||
            !strstr(status.message, "/transformer_2/config.json: "))
            fail_msg("\"%s\", expected \"%s\"", status.message, other[i].says);
        remove_folder(copy);
    }
}

/* ---- a model that speaks ---- */

static void reads_one_that_speaks(void **state)
{
    (void)state;
    ModelConfig *c;
    Status status = model_config_read(speaks, &c);
    if (failed(status)) fail_msg("%s", status.message);
    assert_int_equal(c->dit.heads * c->dit.head_dim, 64);
    assert_int_equal(c->dit.sound_count, 2);
    assert_int_equal(c->dit.sound_layers[1], 2);
    assert_true(model_config_media(c).sound && model_config_media(c).needs_image);
    assert_int_equal(c->defaults.fps, 16);
    assert_int_equal(c->defaults.steps, 40);
    assert_true(c->defaults.guidance == 4.5);
    assert_int_equal(c->defaults.height, 448); /* a multiple of 64 */
    ShotSpec s = c->defaults;
    s.frames = 1234; /* any */
    assert_true(chain_clips(1) == 1 && chain_clips(77) == 1 && chain_clips(78) == 2 && chain_clips(157) == 2);
    assert_int_equal(model_config_check_shot(c, &s).err, OK);
    s.height = 480;
    Status refused = model_config_check_shot(c, &s);
    assert_non_null(strstr(refused.message, "height = 480, expected a multiple of 64 (such as 512)"));
    s.height = 64 * 1024;
    assert_non_null(strstr(model_config_check_shot(c, &s).message, "expected at most 16384"));
    model_config_free(&c);
}

static void refuses_faulty_ones_that_speak(void **state)
{
    (void)state;
    static const struct {
        const char *file, *from, *to, *says;
    } fault[] = {
        {"model_index.json", "\"audio_encoder\"", "\"audio\"", "audio_encoder is missing"},
        {"model_index.json", "WanSpeechToVideoPipeline", "WanPipeline", "_class_name does not go with WanPipeline"},
        {"transformer/config.json", "WanModel_S2V", "WanModel", "_class_name = \"WanModel\", expected"},
        {"transformer/config.json", "\"model_type\": \"s2v\"", "\"model_type\": \"t2v\"", "model_type"},
        {"transformer/config.json", "attn_norm", "norm", "adain_mode"},
        {"transformer/config.json", "\"enable_tsm\": false", "\"enable_tsm\": true", "enable_tsm"},
        {"transformer/config.json", "\"enable_framepack\": true", "\"enable_framepack\": false", "enable_framepack"},
        {"transformer/config.json", "\"zero_timestep\": true", "\"zero_timestep\": false", "zero_timestep"},
        {"transformer/config.json", "\"num_heads\": 2", "\"num_heads\": 0", "num_heads = 0, expected 1 to 512"},
        {"transformer/config.json", "\"num_heads\": 2", "\"num_heads\": 3", "dim = 64 is no multiple of num_heads"},
        {"transformer/config.json", "\"dim\": 64", "\"dim\": 6", "expected an even number from 6 to 1024"},
        {"transformer/config.json", "\"dim\": 64", "\"dim\": 1000000000", "dim = 1000000000, expected 6 to 131072"},
        {"transformer/config.json", "\"dim\": 64", "\"dim\": 128", "expected [128"},
        {"transformer/config.json", "\"num_audio_token\": 4", "\"num_audio_token\": 0", "num_audio_token = 0"},
        {"transformer/config.json", "\"cond_dim\": 16", "\"cond_dim\": 8", "cond_encoder"},
        {"transformer/config.json", "    2\n", "    4\n", "audio_inject_layers"},
        {"transformer/config.json", "    2\n", "    0\n", "audio_inject_layers has 0 in place 1"},
        {"transformer/config.json", "\"audio_inject_layers\": [\n    0,\n    2\n  ]", "\"audio_inject_layers\": [1]",
         "has no place in the model"},
        {"transformer/config.json", "\"in_dim\": 16", "\"in_dim\": 32", "in_dim = 32, expected 16"},
        {"vae/config.json", "\"temperal_downsample\": [\n    false,", "\"temperal_downsample\": [\n    true,",
         "scale_factor_temporal"},
    };
    for (size_t i = 0; i < sizeof fault / sizeof *fault; i++) {
        char *folder = copy_of(speaks);
        Engine *e;
        edit(folder, fault[i].file, fault[i].from, fault[i].to);
        Status status = engine_open_headers(folder, &e);
        if (status.err != ERR_INPUT || !strstr(status.message, fault[i].says) || !strstr(status.message, folder))
            fail_msg("%zu, %s: \"%s\", expected \"%s\"", i, fault[i].file, status.message, fault[i].says);
        remove_folder(folder);
    }
}

static void checks_shots(void **state)
{
    (void)state;
    ModelConfig *c;
    assert_int_equal(model_config_read(fixture, &c).err, OK);
    static const struct {
        int width, height, frames, steps;
        double guidance, guidance_2;
        const char *says;
    } shots[] = {
        {64, 48, 9, 4, 4, 0, NULL},
        {16, 16, 1, 1, 1, 0, NULL},
        {60, 48, 9, 4, 4, 0, "width = 60, expected a multiple of 16 (such as 64)"},
        {64, 0, 9, 4, 4, 0, "height = 0"},
        {1 << 20, 48, 9, 4, 4, 0, "width = 1048576, expected at most 16384"},
        {64, 48, 30, 4, 4, 0, "frames = 30, expected 4k+1 (29 or 33)"},
        {64, 48, 0, 4, 4, 0, "frames = 0"},
        {64, 48, 8193, 4, 4, 0, "frames = 8193, expected at most 4093"},
        {64, 48, 9, 0, 4, 0, "steps = 0"},
        {64, 48, 9, 4, -1, 0, "guidance = -1"},
        {64, 48, 9, 4, 4, 3, "has no second transformer"},
    };
    for (size_t i = 0; i < sizeof shots / sizeof *shots; i++) {
        ShotSpec s = c->defaults;
        s.width = shots[i].width;
        s.height = shots[i].height;
        s.frames = shots[i].frames;
        s.steps = shots[i].steps;
        s.guidance = shots[i].guidance;
        s.guidance_2 = shots[i].guidance_2;
        Status status = model_config_check_shot(c, &s);
        assert_int_equal(status.err, shots[i].says ? ERR_INPUT : OK);
        if (shots[i].says && !strstr(status.message, shots[i].says))
            fail_msg("\"%s\", expected \"%s\"", status.message, shots[i].says);
    }
    model_config_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_fixture),      cmocka_unit_test(folder_states_defaults),
        cmocka_unit_test(refuses_faulty_folders), cmocka_unit_test(compares_two_transformers),
        cmocka_unit_test(refuses_missing_parts),  cmocka_unit_test(checks_shots),
        cmocka_unit_test(reads_one_that_speaks),  cmocka_unit_test(refuses_faulty_ones_that_speak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
