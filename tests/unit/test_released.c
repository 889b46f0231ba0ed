/* test_released.c - the published checkpoints, without their bytes (released.json says what they are): every tensor name and shape
 * that the weight tables ask for is what diffusers and transformers build from the published configurations, and folders of
 * that form, sharded and as large as they are, open and plan without being read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/file.h"
#include "common/hash.h"
#include "engine/engine.h"
#include "engine/speech/speech.h"
#include "engine/text/text.h"
#include "engine/wan/dit.h"
#include "engine/wan/vae.h"
#include "engine/wan/vision.h"
#include "engine/weights/names.h"

enum { MOST_TENSORS = 2048, PLANS = 2 };
static const int64_t SHARD_BYTES = 5000000000; /* what the published folders were cut with */
static const int64_t PLAN_BYTES = 5000000000;

/* ---- tables ---------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    char *name;
    int ndim;
    int64_t dim[8], count;
} Row;

typedef struct { /* of one component */
    Row row[MOST_TENSORS];
    int rows;
    int64_t parameters;
} Table;

static void put(void *self, const char *name, int ndim, const int64_t *dim)
{
    Table *t = self;
    Row *r = &t->row[t->rows++];
    *r = (Row){.name = text_copy(name), .ndim = ndim, .count = 1};
    for (int i = 0; i < ndim; i++) r->count *= r->dim[i] = dim[i];
    t->parameters += r->count;
}

static void clear(Table *t)
{
    for (int i = 0; i < t->rows; i++) free(t->row[i].name);
    *t = (Table){.rows = 0};
}

/* What the engine asks for, under the published names. */
static void list_component(const ModelConfig *c, const char *component, Table *t)
{
    *t = (Table){.rows = 0};
    if (strcmp(component, "text_encoder") == 0) {
        TextEncoder *text = text_new(&c->text);
        weights_list(text_plan(text), put, t);
        text_free(&text);
    } else if (strcmp(component, "image_encoder") == 0) {
        Vision *vision = vision_new(&c->vision, "");
        weights_list(vision_plan(vision), put, t);
        vision_free(&vision);
    } else if (strcmp(component, "audio_encoder") == 0) {
        Speech *speech = speech_new(&c->speech, "wav2vec2.");
        weights_list(speech_plan(speech), put, t);
        speech_free(&speech);
    } else if (strcmp(component, "vae") == 0) {
        for (int half = 0; half < 2; half++) {
            Vae *v = vae_new(&c->vae, half ? VAE_ENCODER : VAE_DECODER);
            weights_list(vae_plan(v), put, t);
            vae_free(&v);
        }
    } else {
        Dit *d = dit_new(&c->dit);
        weights_list(dit_plan(d), put, t);
        dit_free(&d);
    }
}

static void dims_text(const Row *r, char between, char *text, size_t room)
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < r->ndim; i++)
        used += (size_t)snprintf(text + used, room - used, "%.*s%" PRId64, i > 0, &between, r->dim[i]);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void table_hash(const Table *t, char hash[HASH_TEXT])
{
    char *line[MOST_TENSORS], dims[128];
    Hash *h = hash_begin();
    for (int i = 0; i < t->rows; i++) {
        dims_text(&t->row[i], 'x', dims, sizeof dims);
        line[i] = text_format("%s %s\n", t->row[i].name, dims);
    }
    qsort(line, (size_t)t->rows, sizeof *line, by_text);
    for (int i = 0; i < t->rows; i++) {
        hash_add(h, line[i], strlen(line[i]));
        free(line[i]);
    }
    hash_end(h, hash);
}

static void check_tables(const char *name, const ModelConfig *c, const json_t *tables)
{
    static Table t;
    char hash[HASH_TEXT];
    const char *component;
    json_t *want;
    json_object_foreach((json_t *)(uintptr_t)tables, component, want)
    {
        list_component(c, component, &t);
        table_hash(&t, hash);
        const int64_t tensors = json_integer_value(json_object_get(want, "tensors")),
                      parameters = json_integer_value(json_object_get(want, "parameters"));
        if (t.rows != tensors || t.parameters != parameters ||
            strcmp(hash, json_string_value(json_object_get(want, "sha256"))) != 0)
            fail_msg("%s/%s: %d tensors, %" PRId64 " parameters; expected %" PRId64 ", %" PRId64 " of the same names",
                     name, component, t.rows, t.parameters, tensors, parameters);
        clear(&t);
    }
}

/* ---- folders of holes ------------------------------------------------------------------------------------------------------------ */

static char root[] = "/tmp/released-XXXXXX";

static void write_text(const char *folder, const char *name, const char *text)
{
    char *path = path_join(folder, name), *parent = path_folder(path);
    assert_int_equal(file_make_folders(parent).err, OK);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
    free(path);
    free(parent);
}

/* rows first..end of the table as one file; false when the file system does not take it. */
static bool write_shard(const char *path, const Table *t, int first, int end, const char *dtype, int elem_bytes)
{
    const size_t room = (size_t)(end - first) * 256 + 64;
    char *header = memory_get(room, 1), dims[128];
    size_t used = 0;
    int64_t at = 0;
    for (int i = first; i < end; i++) {
        const Row *r = &t->row[i];
        dims_text(r, ',', dims, sizeof dims);
        used +=
            (size_t)snprintf(header + used, room - used,
                             "%c\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}",
                             used ? ',' : '{', r->name, dtype, dims, at, at + elem_bytes * r->count);
        at += elem_bytes * r->count;
    }
    header[used++] = '}';
    const uint64_t length = used;
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(fd >= 0 && write(fd, &length, 8) == 8 && write(fd, header, used) == (ssize_t)used);
    const bool taken = ftruncate(fd, (off_t)(8 + used) + at) == 0;
    close(fd);
    free(header);
    return taken;
}

static int shard_end(const Table *t, int first, int elem_bytes)
{
    int64_t bytes = 0;
    int end = first;
    while (end < t->rows && (end == first || bytes + t->row[end].count * elem_bytes <= SHARD_BYTES))
        bytes += t->row[end++].count * elem_bytes;
    return end;
}

/* Shards of 5 GB with their index, as the libraries write them; one file when there is one shard. */
static bool write_component(const char *folder, const char *component, const Table *t, const char *dtype)
{
    const char *stem = strstr(component, "_encoder") ? "model" : "diffusion_pytorch_model";
    const int elem_bytes = strcmp(dtype, "F32") == 0 ? 4 : 2;
    char *map = text_copy(""), *sub = path_join(folder, component);
    int shards = 0, shard = 0;
    bool taken = true;
    for (int i = 0; i < t->rows; i = shard_end(t, i, elem_bytes)) shards++;
    for (int i = 0, end; i < t->rows && taken; i = end) {
        end = shard_end(t, i, elem_bytes);
        char *name = shards == 1 ? text_format("%s.safetensors", stem)
                                 : text_format("%s-%05d-of-%05d.safetensors", stem, ++shard, shards);
        char *path = path_join(sub, name);
        taken = write_shard(path, t, i, end, dtype, elem_bytes);
        for (int k = i; k < end; k++) {
            char *more = text_format("%s%s\"%s\":\"%s\"", map, *map ? "," : "", t->row[k].name, name);
            free(map);
            map = more;
        }
        free(path);
        free(name);
    }
    char *index =
        text_format("{\"metadata\":{\"total_size\":%" PRId64 "},\"weight_map\":{%s}}", t->parameters * elem_bytes, map);
    char *index_name = text_format("%s.safetensors.index.json", stem);
    if (shards > 1) write_text(sub, index_name, index);
    free(index_name);
    free(index);
    free(map);
    free(sub);
    return taken;
}

/* The transformer that speaks was published under its makers' names. */
static void under_wans_names(Table *t)
{
    for (int i = 0; i < t->rows; i++) {
        char name[NAMES_MOST];
        if (!names_published(t->row[i].name, false, name, sizeof name)) fail_msg("%s has no name", t->row[i].name);
        free(t->row[i].name);
        t->row[i].name = text_copy(name);
    }
}

/* What published files have besides: names before all names, and tensors that nothing uses. */
static void as_published(const char *component, const ModelConfig *c, Table *t)
{
    if (strcmp(component, "image_encoder") == 0) {
        put(t, "embeddings.position_ids", 2, (int64_t[]){1, 257});
        put(t, "post_layernorm.weight", 1, (int64_t[]){c->vision.width});
        for (int i = 0; i < t->rows; i++) {
            char *name = text_format("vision_model.%s", t->row[i].name);
            free(t->row[i].name);
            t->row[i].name = name;
        }
    }
    if (strcmp(component, "transformer") == 0 && c->dit.sound_count) under_wans_names(t);
    if (strcmp(component, "audio_encoder") == 0) put(t, "wav2vec2.masked_spec_embed", 1, &(int64_t){c->speech.width});
    if (strcmp(component, "text_encoder") == 0)
        put(t, "encoder.embed_tokens.weight", 2, (int64_t[]){c->text.vocab_size, c->text.d_model});
    for (int i = 0; strcmp(component, "transformer") == 0 && c->dit.image_dim && i < c->dit.layers; i++) {
        char *name = text_format("blocks.%d.attn2.norm_added_q.weight", i);
        put(t, name, 1, (int64_t[]){c->dit.heads * c->dit.head_dim});
        free(name);
    }
}

static bool write_weights(const char *folder, const ModelConfig *c, const json_t *tables)
{
    static Table t;
    const char *component;
    json_t *value;
    bool taken = true;
    json_object_foreach((json_t *)(uintptr_t)tables, component, value)
    {
        list_component(c, component, &t);
        as_published(component, c, &t);
        const bool dit = strncmp(component, "transformer", 11) == 0, image = strcmp(component, "image_encoder") == 0;
        const char *dtype = image ? "F16" : dit && c->dit.heads == 12 ? "F32" : "BF16";
        taken = taken && write_component(folder, component, &t, dtype);
        clear(&t);
    }
    return taken;
}

/* Bytes of the file that the kernel has read (or written) so far. */
static int64_t cached_bytes(const char *path)
{
    int64_t bytes = 0;
    assert_int_equal(file_size(path, &bytes).err, OK);
    const int fd = open(path, O_RDONLY);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = ((size_t)bytes + page - 1) / page;
    void *at = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, 0);
    unsigned char *there = memory_get(pages, 1);
    assert_true(at != MAP_FAILED && mincore(at, (size_t)bytes, there) == 0);
    bytes = 0;
    for (size_t i = 0; i < pages; i++) bytes += there[i] & 1 ? (int64_t)page : 0;
    munmap(at, pages * page);
    free(there);
    close(fd);
    return bytes;
}

static int64_t resident_bytes(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_maxrss << 10;
}

/* cached may be NULL: it takes a second for 20 GB. */
static void sum_files(const char *folder, int64_t *size, int64_t *cached)
{
    char *command = text_format("find %s -name '*.safetensors'", folder), path[512];
    FILE *list = popen(command, "r");
    *size = 0;
    if (cached) *cached = 0;
    while (list && fgets(path, sizeof path, list)) {
        int64_t bytes = 0;
        path[strcspn(path, "\n")] = 0;
        assert_int_equal(file_size(path, &bytes).err, OK);
        *size += bytes;
        if (cached) *cached += cached_bytes(path);
    }
    assert_true(list && pclose(list) == 0);
    free(command);
}

/* ---- the checks ------------------------------------------------------------------------------------------------------------------- */

/* 161 frames at 832 x 480 in the type: what is planned has the weights that the tables count, and does not depend on length. */
static void check_plan(const char *name, const ModelConfig *c, DType compute)
{
    const BackendOptions o = {.kind = BACKEND_CPU, .compute = compute, .exact = compute, .threads = 2};
    EnginePart part[ENGINE_MAX_PARTS];
    EnginePlan plan[PLANS];
    for (int i = 0; i < PLANS; i++) {
        ShotSpec s = c->defaults;
        s.width = 832;
        s.height = 480;
        s.frames = i ? 161 : 81;
        const Status status = engine_plan(c, &o, &s, PLAN_BYTES, &plan[i]);
        if (failed(status)) fail_msg("%s: %s", name, status.message);
    }
    const int parts = engine_measure(c, 1, &o, part);
    for (int i = 0; i < parts; i++) {
        if (strcmp(part[i].name, "transformer") != 0) continue;
        assert_int_equal(part[i].rank_bytes, plan[0].denoise.weights);
    }
    assert_int_equal(plan[0].decode.work, plan[1].decode.work);
    assert_int_equal(plan[0].encode.work, plan[1].encode.work);
    assert_true(plan[1].denoise.work > plan[0].denoise.work);
    if (plan[1].decode.weights + plan[1].decode.work > PLAN_BYTES)
        fail_msg("%s: decoding takes %" PRId64 " bytes in %d tiles, 5 GB were given", name,
                 plan[1].decode.weights + plan[1].decode.work, plan[1].decode.tiles);
}

/* The autoencoder in fp32, whatever the transformer computes in: its weights are those of a plan in fp32, the transformer's are not. */
static void check_precision(const char *name, const ModelConfig *c)
{
    const BackendOptions mixed = {.kind = BACKEND_CPU, .compute = BF16}, wide = {.kind = BACKEND_CPU};
    EnginePlan in_mixed, in_wide;
    if (failed(engine_plan(c, &mixed, &c->defaults, INT64_MAX, &in_mixed)) ||
        failed(engine_plan(c, &wide, &c->defaults, INT64_MAX, &in_wide)))
        fail_msg("%s cannot be planned", name);
    assert_int_equal(in_mixed.decode.weights, in_wide.decode.weights);
    assert_int_equal(in_mixed.decode.work, in_wide.decode.work);
    assert_int_equal(in_mixed.encode.weights, in_wide.encode.weights);
    assert_true(in_mixed.denoise.weights * 10 < in_wide.denoise.weights * 6);
}

/* A rank of 2, 4, 8 holds its share: no more than that and what cannot be divided. Heads are not: of 12, eight ranks take quarters. */
static void check_shares(const char *name, const ModelConfig *c)
{
    EnginePart whole[ENGINE_MAX_PARTS], share[ENGINE_MAX_PARTS];
    const BackendOptions o = {.kind = BACKEND_CPU, .compute = BF16};
    const int parts = engine_measure(c, 1, &o, whole);
    for (int ranks = 2; ranks <= 8; ranks *= 2) {
        int shares = ranks;
        while (c->dit.heads % shares) shares /= 2;
        engine_measure(c, ranks, &o, share);
        for (int i = 0; i < parts; i++) {
            if (strncmp(whole[i].name, "transformer", 11) != 0) continue;
            if (share[i].rank_bytes * shares < whole[i].rank_bytes ||
                share[i].rank_bytes > whole[i].rank_bytes / shares + whole[i].rank_bytes / 10)
                fail_msg("%s/%s: %" PRId64 " bytes, a rank of %d %" PRId64, name, whole[i].name, whole[i].rank_bytes,
                         ranks, share[i].rank_bytes);
        }
    }
}

static bool check_folder(const char *name, const char *folder, const ModelConfig *c, const json_t *tables)
{
    int64_t size, cached;
    const BackendOptions o = {.kind = BACKEND_CPU, .compute = BF16, .threads = 1};
    Engine *e;
    if (!write_weights(folder, c, tables)) return false;
    const int64_t before = resident_bytes();
    const Status status = engine_open(folder, &o, &e);
    if (failed(status)) fail_msg("%s: %s", name, status.message);
    assert_int_equal(engine_bytes_read(e), 0);
    assert_true(resident_bytes() - before < 32 << 20);
    engine_close(&e);
    const bool closer = strcmp(name, "Wan2.1-T2V-14B") == 0;
    sum_files(folder, &size, closer ? &cached : NULL);
    assert_true(size > (int64_t)10e9);
    if (closer) print_message("%s: opened by reading at most %.1f MB\n", name, (double)cached / 1e6);
    if (closer) assert_true(cached < 32 << 20);
    print_message("%s: %.1f GB\n", name, (double)size / 1e9);
    return true;
}

static void check_released(const char *name, const json_t *released)
{
    char *folder = path_join(root, name);
    const char *file;
    json_t *content;
    ModelConfig *c;
    json_object_foreach(json_object_get(released, "files"), file, content)
    {
        char *text = json_dumps(content, 0);
        write_text(folder, file, text);
        free(text);
    }
    char *tokenizer = path_join(folder, "tokenizer");
    assert_int_equal(symlink(SOURCE_DIR "/tests/parity/fixtures/t2v-0/model/tokenizer", tokenizer), 0);
    const Status status = model_config_read(folder, &c);
    if (failed(status)) fail_msg("%s: %s", name, status.message);
    check_tables(name, c, json_object_get(released, "tables"));
    check_shares(name, c);
    check_precision(name, c);
    if (!c->dit.sound_count)
        check_plan(name, c, BF16); /* a model that speaks goes from clip to clip, of sizes of its own */
    if (!check_folder(name, folder, c, json_object_get(released, "tables")))
        print_message("[  SKIPPED ] %s takes no files of this size, not even of holes\n", folder);
    model_config_free(&c);
    free(tokenizer);
    char *command = text_format("rm -r %s", folder);
    assert_int_equal(system(command), 0);
    free(command);
    free(folder);
}

static void published_folders(void **state)
{
    (void)state;
    json_t *all = json_load_file(SOURCE_DIR "/tests/unit/released.json", 0, NULL), *released;
    const char *name;
    assert_int_equal(json_object_size(all), 11);
    assert_non_null(mkdtemp(root));
    json_object_foreach(all, name, released) check_released(name, released);
    rmdir(root);
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_folders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
