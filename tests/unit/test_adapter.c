/* LoRA files: what is refused and how it is named; that taking one off brings the model back bit for bit. That the merged model is
 * diffusers' own is tests/parity's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "engine/engine.h"
#include "engine/weights/names.h"

#define MODEL SOURCE_DIR "/tests/parity/fixtures/t2v-0/model"
#define TWO   SOURCE_DIR "/tests/parity/fixtures/i2v_a14b-0/model"
#define CALLS SOURCE_DIR "/tests/parity/fixtures/calls"

/* ---- a file with the tensors of a header ---- */

static void write_file(const char *path, const char *header, size_t floats)
{
    FILE *f = fopen(path, "wb");
    uint64_t length = strlen(header);
    assert_non_null(f);
    fwrite(&length, sizeof length, 1, f);
    fwrite(header, 1, length, f);
    for (size_t i = 0; i < floats; i++) fwrite(&(float){0.25f}, sizeof(float), 1, f);
    assert_int_equal(fclose(f), 0);
}

static void write_end(const char *path, const void *number, size_t bytes)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -(long)bytes, SEEK_END), 0);
    assert_int_equal(fwrite(number, bytes, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

static void expect_refused(Engine *e, const char *header, size_t floats, const char *part)
{
    const char *path = "adapter.safetensors";
    write_file(path, header, floats);
    Status s = engine_set_adapters(e, &(EngineAdapter){path, 1, ADAPTER_BOTH}, 1);
    assert_int_equal(s.err, ERR_INPUT);
    if (!strstr(s.message, part)) fail_msg("\"%s\" does not say \"%s\"", s.message, part);
    assert_non_null(strstr(s.message, path));
    unlink(path);
}

static Engine *open_model(void)
{
    Engine *e = NULL;
    Status s = engine_open(MODEL, &(BackendOptions){.kind = BACKEND_CPU, .threads = 1}, &e);
    if (failed(s)) fail_msg("%s", s.message);
    return e;
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    Engine *e = open_model();
    expect_refused(
        e,
        "{\"transformer.blocks.0.attn9.to_q.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        1, "attn9.to_q.lora_A.weight\" [1] matches nothing");
    expect_refused(
        e, "{\"lora_unet_blocks_0_self_attn_q.dora_scale\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        1, "DoRA");
    expect_refused(
        e, "{\"lora_unet_blocks_0_self_attn_q.lokr_w1\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 1,
        "LoKr");
    expect_refused(e,
                   "{\"diffusion_model.blocks.0.self_attn.q.lora_down.weight\":{\"dtype\":\"F32\",\"shape\":[1,1],"
                   "\"data_offsets\":[0,4]}}",
                   1, "other half");
    expect_refused(
        e,
        "{\"diffusion_model.blocks.0.self_attn.q.lora_down.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],"
        "\"data_offsets\":[0,8]},"
        "\"diffusion_model.blocks.0.self_attn.q.lora_up.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_"
        "offsets\":[8,16]}}",
        4, "down.weight\" is [1,2], expected [rank,64], since \"blocks.0.attn1.to_q.weight\" of this model is [64,64]");
    expect_refused(
        e,
        "{\"diffusion_model.blocks.0.self_attn.q.diff_b\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}",
        3, "diff_b\" is [3], expected the same shape");
    expect_refused(
        e, "{\"diffusion_model.blocks.0.self_attn.q.diff_b\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
        2, "type I64");
    Status s = engine_set_adapters(e, &(EngineAdapter){CALLS "/lora-peft/lora0.safetensors", 1, ADAPTER_LOW}, 1);
    assert_int_equal(s.err, ERR_INPUT); /* this model has one transformer */
    engine_close(&e);
}

/* A number that is none, in each type, first and last: file, tensor and place, before anything is rendered. */
static void refuses_numbers_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int bytes;
        uint32_t bad[2], fine;
    } kind[] = {{"F32", 4, {0x7fc00000, 0xff800000}, 0x7f7fffff},
                {"BF16", 2, {0x7fc0, 0xff80}, 0x7f7f},
                {"F16", 2, {0x7e00, 0xfc00}, 0x7bff},
                {"F8_E4M3", 1, {0x7f, 0xff}, 0x7e},
                {"F8_E5M2", 1, {0x7e, 0xfc}, 0x7b}};
    Engine *e = NULL;
    assert_false(failed(engine_open_headers(MODEL, &e)));
    for (size_t i = 0; i < 2 * sizeof kind / sizeof *kind; i++) {
        const int bytes = kind[i / 2].bytes, at = i % 2 ? 63 : 0;
        for (int is_bad = 0; is_bad < 2; is_bad++) {
            char *header =
                     text_format("{\"diffusion_model.blocks.0.self_attn.q.diff_b\":{\"dtype\":\"%s\",\"shape\":[64],"
                                 "\"data_offsets\":[0,%d]}}",
                                 kind[i / 2].type, 64 * bytes),
                 wanted[64];
            const uint32_t number = is_bad ? kind[i / 2].bad[i % 2] : kind[i / 2].fine;
            write_file("odd.safetensors", header, (size_t)(16 * bytes));
            FILE *f = fopen("odd.safetensors", "r+b");
            assert_non_null(f);
            assert_int_equal(fseek(f, (at - 64) * bytes, SEEK_END), 0);
            assert_int_equal(fwrite(&number, (size_t)bytes, 1, f), 1); /* little-endian */
            fclose(f);
            const Status s = engine_check_adapters(e, &(EngineAdapter){"odd.safetensors", 1, ADAPTER_BOTH}, 1);
            snprintf(wanted, sizeof wanted, "q.diff_b\": number %d of 64 is infinite or none", at);
            if (is_bad ? s.err != ERR_INPUT || !strstr(s.message, wanted) || !strstr(s.message, "odd.safetensors: ")
                       : failed(s))
                fail_msg("%s: %s", header, s.message);
            free(header);
        }
    }
    unlink("odd.safetensors");
    engine_close(&e);
}

/* Which of two transformers a file is for stands in its names; one that has nothing for the transformer that it is asked for changes
 * nothing, and that is said. */
static void goes_to_the_transformer_it_names(void **state)
{
    (void)state;
    static const char named[] =
        "{\"transformer_2.blocks.0.attn1.to_q.diff_b\":{\"dtype\":\"F32\",\"shape\":[64],\"data_offsets\":[0,256]}}";
    static const char absent[] =
        "{\"transformer.blocks.0.attn9.diff_b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"transformer.blocks.0.attn8.diff_b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    Engine *e = NULL, *one = NULL;
    assert_false(failed(engine_open_headers(TWO, &e)));
    assert_false(failed(engine_open_headers(MODEL, &one)));
    write_file("second.safetensors", named, 64);
    write_file("absent.safetensors", absent, 2);
    const EngineAdapter second = {"second.safetensors", 1, ADAPTER_BOTH};
    assert_false(failed(engine_check_adapters(e, &second, 1)));
    assert_false(failed(engine_check_adapters(e, &(EngineAdapter){second.file, 1, ADAPTER_LOW}, 1)));
    Status s = engine_check_adapters(e, &(EngineAdapter){second.file, 1, ADAPTER_HIGH}, 1);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "all its tensors are called transformer_2."));
    s = engine_check_adapters(one, &second, 1); /* the only transformer is not the second */
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "matches nothing in this model"));
    /* beside a file that names the second, another one is still read under its own names */
    const EngineAdapter pair[] = {second, {"absent.safetensors", 1, ADAPTER_LOW}};
    s = engine_check_adapters(e, pair, 2);
    assert_int_equal(s.err, ERR_INPUT);
    assert_non_null(strstr(s.message, "attn8.diff_b\" [1] matches nothing in this model, as do 1 more of its 2"));
    unlink("second.safetensors");
    unlink("absent.safetensors");
    engine_close(&e);
    engine_close(&one);
}

/* One step's latents: they show every weight. */
static void render(Engine *e, float *latents)
{
    ShotSpec s;
    PromptEmbeds prompt = {0};
    Denoise *d = NULL;
    shot_copy(&s, &engine_config(e)->defaults);
    s.width = s.height = 32;
    s.frames = s.steps = 1;
    s.guidance = 1;
    assert_false(failed(engine_encode(e, "a red ball", "prompt", NULL, &prompt)));
    assert_false(failed(denoise_begin(e, &s, &prompt, NULL, NULL, NULL, &d)));
    assert_false(failed(denoise_step(d)));
    assert_false(failed(denoise_result(d, latents)));
    denoise_end(&d);
    prompt_embeds_free(&prompt);
    shot_clear(&s);
}

/* Each prefix, each style of a module's name, each pair of ends. */
static void knows_each_spelling(void **state)
{
    (void)state;
    static const char *const stem[] = {"blocks.0.attn1.to_q",
                                       "transformer.blocks.0.attn1.to_q",
                                       "diffusion_model.blocks.0.self_attn.q",
                                       "base_model.model.blocks.0.attn1.to_q",
                                       "model.diffusion_model.blocks.0.self_attn.q",
                                       "lora_unet_blocks_0_self_attn_q",
                                       "lora_unet__blocks_0_self_attn_q",
                                       "lora_transformer_blocks_0_attn1_to_q",
                                       "lycoris_blocks_0_self_attn_q"};
    static const char *const end[][3] = {{".lora_A.weight", ".lora_B.weight", ".lora_B.bias"},
                                         {".lora_down.weight", ".lora_up.weight", ".lora_up.bias"},
                                         {".lora_A.default.weight", ".lora_B.default.weight", ".lora_B.default.bias"},
                                         {".lora.down.weight", ".lora.up.weight", ".diff_b"}};
    Engine *e = NULL;
    assert_false(failed(engine_open_headers(MODEL, &e)));
    for (size_t i = 0; i < sizeof stem / sizeof *stem; i++)
        for (size_t k = 0; k < sizeof end / sizeof *end; k++) {
            char *header =
                text_format("{\"%s%s\":{\"dtype\":\"F32\",\"shape\":[1,64],\"data_offsets\":[0,256]},"
                            "\"%s%s\":{\"dtype\":\"F32\",\"shape\":[64,1],\"data_offsets\":[256,512]},"
                            "\"%s%s\":{\"dtype\":\"F32\",\"shape\":[64],\"data_offsets\":[512,768]},"
                            "\"%s.alpha\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[768,772]},"
                            "\"%s.diff\":{\"dtype\":\"F32\",\"shape\":[64,64],\"data_offsets\":[772,17156]}}",
                            stem[i], end[k][0], stem[i], end[k][1], stem[i], end[k][2], stem[i], stem[i]);
            write_file("spelled", header, 193 + 64 * 64);
            Status s = engine_check_adapters(e, &(EngineAdapter){"spelled", 1, ADAPTER_BOTH}, 1);
            if (failed(s)) fail_msg("%s%s: %s", stem[i], end[k][0], s.message);
            free(header);
        }
    unlink("spelled");
    engine_close(&e);
}

/* The latents with these adapters, of which each file's numbers are all 0.25. */
static void render_with(Engine *e, const EngineAdapter *adapter, int count, float *latents)
{
    Status s = engine_set_adapters(e, adapter, count);
    if (failed(s)) fail_msg("%s", s.message);
    render(e, latents);
}

/* What PEFT's lora_bias adds is scaled as the pair before it; alpha_pattern's keys are ends of module names. */
static void scales_as_peft_does(void **state)
{
    (void)state;
#define Q "\"transformer.blocks.0.attn1.to_q"
#define PAIR                                                                                                           \
    Q ".lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,64],\"data_offsets\":[0,256]}," Q                              \
      ".lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[64,1],\"data_offsets\":[256,512]}"
    const char *alpha = "," Q ".alpha\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[512,516]}";
    const char *bias = "," Q ".lora_B.bias\":{\"dtype\":\"F32\",\"shape\":[64],\"data_offsets\":[516,772]}";
    const char *pattern = "\"__metadata__\":{\"lora_adapter_metadata\":\"{\\\"lora_alpha\\\":9,\\\"alpha_pattern\\\":"
                          "{\\\"o_q\\\":5,\\\"attn1.to_q\\\":3,\\\"to_q\\\":4}}\"},";
    float whole[2048] = {0}, apart[2048] = {0}, plain[2048] = {0};
    char *header[] = {text_format("{" PAIR "%s%s}", alpha, bias), text_format("{" PAIR "%s}", alpha),
                      text_format("{" Q ".diff_b\":{\"dtype\":\"F32\",\"shape\":[64],\"data_offsets\":[0,256]}}"),
                      text_format("{%s" PAIR "}", pattern), text_format("{" PAIR "}")};
    static const char *const file[] = {"whole", "pair", "bias", "pattern", "plain"};
    static const size_t floats[] = {193, 129, 64, 128, 128};
    for (int i = 0; i < 5; i++) {
        write_file(file[i], header[i], floats[i]);
        free(header[i]);
    }
    Engine *e = open_model();
    render(e, plain);
    render_with(e, &(EngineAdapter){file[0], 1, ADAPTER_BOTH}, 1, whole); /* alpha / R = 1/4 */
    render_with(e, (EngineAdapter[]){{file[1], 1, ADAPTER_BOTH}, {file[2], 0.25, ADAPTER_BOTH}}, 2, apart);
    assert_memory_equal(whole, apart, sizeof whole);
    assert_memory_not_equal(whole, plain, sizeof whole);
    render_with(e, &(EngineAdapter){file[3], 1, ADAPTER_BOTH}, 1, whole);
    render_with(e, &(EngineAdapter){file[4], 3, ADAPTER_BOTH}, 1, apart);
    assert_memory_equal(whole, apart, sizeof whole);
    /* rank-stabilised: alpha over the square root of the rank, 6 / 2 */
    const char *four = Q ".lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[4,64],\"data_offsets\":[0,1024]}," Q
                         ".lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[64,4],\"data_offsets\":[1024,2048]}";
    const char *stable =
        "\"__metadata__\":{\"lora_adapter_metadata\":\"{\\\"lora_alpha\\\":6,\\\"use_rslora\\\":true}\"},";
    for (int i = 0; i < 2; i++) {
        char *text = text_format("{%s%s}", i ? "" : stable, four);
        write_file(file[i], text, 512);
        free(text);
        render_with(e, &(EngineAdapter){file[i], i ? 3 : 1, ADAPTER_BOTH}, 1, i ? apart : whole);
    }
    assert_memory_equal(whole, apart, sizeof whole);
    engine_close(&e);
    for (int i = 0; i < 5; i++) unlink(file[i]);
}

/* alpha as a whole number is the same number; a modulation's difference has two names; finite numbers that merge into infinite ones
 * are refused with the file's and the weight's name. */
static void merges_as_tools_write(void **state)
{
    (void)state;
    float one[2048] = {0}, other[2048] = {0}, plain[2048] = {0};
    const char *pair = Q ".lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,64],\"data_offsets\":[0,256]}," Q
                         ".lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[64,1],\"data_offsets\":[256,512]},";
    char *whole = text_format("{%s" Q ".alpha\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[512,520]}}", pair),
         *real = text_format("{%s" Q ".alpha\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[512,516]}}", pair);
    Engine *e = open_model();
    render(e, plain);
    write_file("whole", whole, 130);
    write_end("whole", &(int64_t){3}, sizeof(int64_t));
    write_file("real", real, 129);
    write_end("real", &(float){3}, sizeof(float));
    render_with(e, &(EngineAdapter){"whole", 1, ADAPTER_BOTH}, 1, one);
    render_with(e, &(EngineAdapter){"real", 1, ADAPTER_BOTH}, 1, other);
    assert_memory_equal(one, other, sizeof one);
    assert_memory_not_equal(one, plain, sizeof one);
    write_file("whole",
               "{\"diffusion_model.blocks.0.diff_m\":{\"dtype\":\"F32\",\"shape\":[1,6,64],\"data_offsets\":[0,1536]}}",
               384);
    write_file("real",
               "{\"blocks.0.modulation.diff\":{\"dtype\":\"F32\",\"shape\":[1,6,64],\"data_offsets\":[0,1536]}}", 384);
    render_with(e, &(EngineAdapter){"whole", 1, ADAPTER_BOTH}, 1, one);
    render_with(e, &(EngineAdapter){"real", 1, ADAPTER_BOTH}, 1, other);
    assert_memory_equal(one, other, sizeof one);
    assert_memory_not_equal(one, plain, sizeof one);
    Status s = engine_set_adapters(e, &(EngineAdapter){"real", 1e30, ADAPTER_BOTH}, 1);
    assert_int_equal(s.err, ERR_CLIP);
    assert_non_null(strstr(s.message, "real: merged, it makes numbers of \"blocks.0.scale_shift_table\""));
    engine_close(&e);
    unlink("whole");
    unlink("real");
    free(whole);
    free(real);
}

static void comes_off_again(void **state)
{
    (void)state;
    float plain[2048] = {0}, with[2048] = {0}, both[2048] = {0}, after[2048] = {0};
    const EngineAdapter adapter[] = {{CALLS "/lora-peft/lora0.safetensors", 0.7, ADAPTER_BOTH},
                                     {CALLS "/lora-published/lora1.safetensors", -0.4, ADAPTER_BOTH}};
    Engine *e = open_model();
    render(e, plain);
    const int64_t read = engine_bytes_read(e);
    assert_false(failed(engine_set_adapters(e, adapter, 1)));
    assert_true(engine_bytes_read(e) - read < read); /* only what it changes is read again */
    render(e, with);
    assert_false(failed(engine_set_adapters(e, adapter, 2)));
    render(e, both);
    assert_false(failed(engine_set_adapters(e, NULL, 0)));
    render(e, after);
    assert_memory_not_equal(plain, with, sizeof plain);
    assert_memory_not_equal(with, both, sizeof plain);
    assert_memory_equal(plain, after, sizeof plain);
    engine_close(&e);
}

/* Of two adapters one stays: only what the other changes is read again, and the weights are those of both at once. */
static void reads_only_what_differs(void **state)
{
    (void)state;
    float changed[2048] = {0}, fresh[2048] = {0};
    const EngineAdapter both[] = {{CALLS "/lora-peft/lora0.safetensors", 0.7, ADAPTER_BOTH}, {"bias", 1, ADAPTER_BOTH}};
    write_file("bias",
               "{\"diffusion_model.blocks.0.self_attn.q.diff_b\":{\"dtype\":\"F32\",\"shape\":[64],"
               "\"data_offsets\":[0,256]}}",
               64);
    Engine *e = open_model(), *other = open_model();
    render_with(e, both, 1, changed);
    int64_t read = engine_bytes_read(e);
    render_with(e, both, 2, changed);
    assert_int_equal(engine_bytes_read(e) - read, (64 * 64 + 64) * 4);
    render_with(other, both, 2, fresh);
    assert_memory_equal(changed, fresh, sizeof fresh);
    read = engine_bytes_read(e); /* another scale is another weight, and so is another content under the same name */
    render_with(e, (EngineAdapter[]){{both[0].file, 0.6, ADAPTER_BOTH}, both[1]}, 2, changed);
    assert_true(engine_bytes_read(e) - read > (64 * 64 + 64) * 4);
    assert_memory_not_equal(changed, fresh, sizeof fresh);
    read = engine_bytes_read(e);
    write_file("bias",
               "{\"diffusion_model.blocks.1.self_attn.q.diff_b\":{\"dtype\":\"F32\",\"shape\":[64],"
               "\"data_offsets\":[0,256]}}",
               64);
    render_with(e, (EngineAdapter[]){{both[0].file, 0.6, ADAPTER_BOTH}, both[1]}, 2, fresh);
    assert_int_equal(engine_bytes_read(e) - read, 2 * (64 * 64 + 64) * 4); /* block 0 without it, block 1 with it */
    assert_memory_not_equal(changed, fresh, sizeof fresh);
    read = engine_bytes_read(e);
    write_end("bias", &(float){3}, sizeof(float)); /* the same tensor with another number */
    render_with(e, (EngineAdapter[]){{both[0].file, 0.6, ADAPTER_BOTH}, both[1]}, 2, changed);
    assert_int_equal(engine_bytes_read(e) - read, (64 * 64 + 64) * 4);
    assert_memory_not_equal(changed, fresh, sizeof fresh);
    engine_close(&e);
    engine_close(&other);
    unlink("bias");
}

static void knows_the_publishers_names(void **state)
{
    (void)state;
    static const char *const pair[][2] = {
        {"patch_embedding.weight", "patch_embedding.weight"},
        {"vace_patch_embedding.bias", "vace_patch_embedding.bias"},
        {"condition_embedder.time_embedder.linear_1.weight", "time_embedding.0.weight"},
        {"condition_embedder.time_embedder.linear_2.weight", "time_embedding.2.weight"},
        {"condition_embedder.time_proj.bias", "time_projection.1.bias"},
        {"condition_embedder.text_embedder.linear_1.weight", "text_embedding.0.weight"},
        {"condition_embedder.text_embedder.linear_2.weight", "text_embedding.2.weight"},
        {"condition_embedder.image_embedder.norm1.weight", "img_emb.proj.0.weight"},
        {"condition_embedder.image_embedder.ff.net.0.proj.weight", "img_emb.proj.1.weight"},
        {"condition_embedder.image_embedder.ff.net.2.weight", "img_emb.proj.3.weight"},
        {"condition_embedder.image_embedder.norm2.bias", "img_emb.proj.4.bias"},
        {"condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"},
        {"scale_shift_table", "head.modulation"},
        {"proj_out.weight", "head.head.weight"},
        {"blocks.3.attn1.to_q.weight", "blocks.3.self_attn.q.weight"},
        {"blocks.3.attn1.to_k.weight", "blocks.3.self_attn.k.weight"},
        {"blocks.3.attn1.to_v.weight", "blocks.3.self_attn.v.weight"},
        {"blocks.12.attn1.to_out.0.weight", "blocks.12.self_attn.o.weight"},
        {"blocks.3.attn1.norm_q.weight", "blocks.3.self_attn.norm_q.weight"},
        {"blocks.3.attn1.norm_k.weight", "blocks.3.self_attn.norm_k.weight"},
        {"blocks.3.attn2.to_q.weight", "blocks.3.cross_attn.q.weight"},
        {"blocks.3.attn2.to_k.weight", "blocks.3.cross_attn.k.weight"},
        {"blocks.3.attn2.to_v.weight", "blocks.3.cross_attn.v.weight"},
        {"blocks.3.attn2.to_out.0.bias", "blocks.3.cross_attn.o.bias"},
        {"blocks.3.attn2.norm_q.weight", "blocks.3.cross_attn.norm_q.weight"},
        {"blocks.3.attn2.norm_k.weight", "blocks.3.cross_attn.norm_k.weight"},
        {"blocks.3.attn2.add_k_proj.weight", "blocks.3.cross_attn.k_img.weight"},
        {"blocks.3.attn2.add_v_proj.weight", "blocks.3.cross_attn.v_img.weight"},
        {"blocks.3.attn2.norm_added_k.weight", "blocks.3.cross_attn.norm_k_img.weight"},
        {"blocks.3.ffn.net.0.proj.weight", "blocks.3.ffn.0.weight"},
        {"blocks.3.ffn.net.2.weight", "blocks.3.ffn.2.weight"},
        {"blocks.3.norm2.weight", "blocks.3.norm3.weight"},
        {"blocks.3.scale_shift_table", "blocks.3.modulation"},
        {"vace_blocks.0.proj_in.bias", "vace_blocks.0.before_proj.bias"},
        {"vace_blocks.1.proj_out.weight", "vace_blocks.1.after_proj.weight"},
        {"cond_encoder.weight", "cond_encoder.weight"},
        {"trainable_cond_mask.weight", "trainable_cond_mask.weight"},
        {"frame_packer.proj.weight", "frame_packer.proj.weight"},
        {"audio_injector.injector.0.q.weight", "audio_injector.injector.0.q.weight"},
        {"casual_audio_encoder.weights", "casual_audio_encoder.weights"},
        {"post_quant_conv.weight", "conv2.weight"},
        {"quant_conv.bias", "conv1.bias"},
        {"encoder.conv_in.weight", "encoder.conv1.weight"},
        {"decoder.norm_out.gamma", "decoder.head.0.gamma"},
        {"decoder.conv_out.weight", "decoder.head.2.weight"},
        {"decoder.mid_block.attentions.0.proj.weight", "decoder.middle.1.proj.weight"},
        {"decoder.mid_block.resnets.1.norm1.gamma", "decoder.middle.2.residual.0.gamma"},
        {"decoder.up_blocks.1.resnets.2.conv2.weight", "decoder.upsamples.6.residual.6.weight"},
        {"decoder.up_blocks.1.upsamplers.0.resample.1.weight", "decoder.upsamples.7.resample.1.weight"},
        {"encoder.down_blocks.3.conv_shortcut.weight", "encoder.downsamples.3.shortcut.weight"},
        {"encoder.down_blocks.4.conv1.weight", "encoder.downsamples.4.residual.2.weight"},
        {"encoder.down_blocks.4.norm2.gamma", "encoder.downsamples.4.residual.3.gamma"},
        {"shared.weight", "token_embd.weight"},
        {"encoder.embed_tokens.weight", "token_embd.weight"},
        {"encoder.final_layer_norm.weight", "enc.output_norm.weight"},
        {"encoder.block.7.layer.0.layer_norm.weight", "enc.blk.7.attn_norm.weight"},
        {"encoder.block.7.layer.0.SelfAttention.q.weight", "enc.blk.7.attn_q.weight"},
        {"encoder.block.7.layer.0.SelfAttention.k.weight", "enc.blk.7.attn_k.weight"},
        {"encoder.block.7.layer.0.SelfAttention.v.weight", "enc.blk.7.attn_v.weight"},
        {"encoder.block.7.layer.0.SelfAttention.o.weight", "enc.blk.7.attn_o.weight"},
        {"encoder.block.7.layer.0.SelfAttention.relative_attention_bias.weight", "enc.blk.7.attn_rel_b.weight"},
        {"encoder.block.7.layer.1.layer_norm.weight", "enc.blk.7.ffn_norm.weight"},
        {"encoder.block.7.layer.1.DenseReluDense.wi_0.weight", "enc.blk.7.ffn_gate.weight"},
        {"encoder.block.7.layer.1.DenseReluDense.wi_1.weight", "enc.blk.7.ffn_up.weight"},
        {"encoder.block.7.layer.1.DenseReluDense.wo.weight", "enc.blk.7.ffn_down.weight"}};
    char name[NAMES_MOST];
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        assert_true(names_published(pair[i][0], false, name, sizeof name));
        assert_string_equal(name, pair[i][1]);
    }
    static const char *const text[][2] = {
        /* Wan's own, of the text encoder */
        {"shared.weight", "token_embedding.weight"},
        {"encoder.final_layer_norm.weight", "norm.weight"},
        {"encoder.block.7.layer.0.layer_norm.weight", "blocks.7.norm1.weight"},
        {"encoder.block.7.layer.0.SelfAttention.o.weight", "blocks.7.attn.o.weight"},
        {"encoder.block.7.layer.0.SelfAttention.relative_attention_bias.weight",
         "blocks.7.pos_embedding.embedding.weight"},
        {"encoder.block.7.layer.1.layer_norm.weight", "blocks.7.norm2.weight"},
        {"encoder.block.7.layer.1.DenseReluDense.wi_0.weight", "blocks.7.ffn.gate.0.weight"},
        {"encoder.block.7.layer.1.DenseReluDense.wi_1.weight", "blocks.7.ffn.fc1.weight"},
        {"encoder.block.7.layer.1.DenseReluDense.wo.weight", "blocks.7.ffn.fc2.weight"}};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        assert_true(names_published(text[i][0], true, name, sizeof name));
        assert_string_equal(name, text[i][1]);
    }
    assert_false(names_published("blocks.3.attn3.to_q.weight", false, name, sizeof name));
    assert_false(names_published("blocks.3.attn1.to_q.weight", false, name, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refuses_what_does_not_fit),
                                       cmocka_unit_test(comes_off_again),
                                       cmocka_unit_test(reads_only_what_differs),
                                       cmocka_unit_test(scales_as_peft_does),
                                       cmocka_unit_test(knows_each_spelling),
                                       cmocka_unit_test(refuses_numbers_that_are_none),
                                       cmocka_unit_test(goes_to_the_transformer_it_names),
                                       cmocka_unit_test(knows_the_publishers_names),
                                       cmocka_unit_test(merges_as_tools_write)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
