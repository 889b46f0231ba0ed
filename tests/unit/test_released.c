/* test_released.c - the published checkpoints, without their bytes: every tensor name and shape that the weight tables ask for is
 * what diffusers and transformers build from the published configurations (SHA-256 of the sorted list "name AxBxC\n"), and a
 * folder as large as the 14B model opens without being read. */
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
#include <sys/resource.h>
#include <unistd.h>

#include "common/file.h"
#include "engine/dit.h"
#include "engine/text.h"
#include "engine/vae.h"
#include "engine/vision.h"

typedef struct {
    char *line[2048];
    int count;
    int64_t parameters;
} List;

static void put(void *self, const char *name, int ndim, const int64_t *dim)
{
    List *l = self;
    char shape[128] = "";
    int64_t count = 1;
    for (int i = 0; i < ndim; i++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%s%" PRId64, i ? "x" : "", dim[i]);
        count *= dim[i];
    }
    l->line[l->count++] = text_format("%s %s\n", name, shape);
    l->parameters += count;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void check(const char *what, List *l, int tensors, int64_t parameters, const char *sha256)
{
    char hash[HASH_TEXT];
    size_t bytes = 0;
    qsort(l->line, (size_t)l->count, sizeof *l->line, by_text);
    for (int i = 0; i < l->count; i++) bytes += strlen(l->line[i]);
    char *all = memory_get(bytes + 1, 1), *at = all;
    for (int i = 0; i < l->count; i++) {
        at = stpcpy(at, l->line[i]);
        free(l->line[i]);
    }
    hash_bytes(all, bytes, hash);
    free(all);
    if (l->count != tensors || l->parameters != parameters || strcmp(hash, sha256) != 0)
        fail_msg("%s: %d tensors, %" PRId64 " parameters; expected %d, %" PRId64, what, l->count, l->parameters,
                 tensors, parameters);
}

static DitConfig dit_of(int heads, int ffn, int layers, int in, int out)
{
    return (DitConfig){.patch = {1, 2, 2},
                       .heads = heads,
                       .head_dim = 128,
                       .in_channels = in,
                       .out_channels = out,
                       .text_dim = 4096,
                       .freq_dim = 256,
                       .ffn_dim = ffn,
                       .layers = layers,
                       .rope_max_len = 1024,
                       .cross_norm = true,
                       .eps = 1e-6f};
}

static void check_dit(const char *what, DitConfig c, int tensors, int64_t parameters, const char *sha256)
{
    List l = {.count = 0};
    Dit *d = dit_new(&c);
    weights_list(dit_plan(d), put, &l);
    dit_free(&d);
    check(what, &l, tensors, parameters, sha256);
}

static void transformers(void **state)
{
    (void)state;
    const DitConfig small = dit_of(12, 8960, 30, 16, 16), large = dit_of(40, 13824, 40, 16, 16);
    check_dit("1.3B", small, 825, 1418996800, "2f5bfd618b42ba62c9272ba299bc2cbffa735162fb314c131de4dace4b76df22");
    check_dit("14B, A14B", large, 1095, 14288491584,
              "5ca86831758af46952115083e2802a81dd54402a8493faf4c91d07510a3d3906");
    check_dit("5B", dit_of(24, 14336, 30, 48, 48), 825, 4999787712,
              "615d6b75a264e75fbf9a4991c0be2a21e7ac5a416da385ddb69a10c88e24f004");
    DitConfig image = dit_of(40, 13824, 40, 36, 16);
    image.image_dim = 1280;
    image.added_kv_dim = 5120;
    check_dit("I2V 14B", image, 1303, 16394878784, "42dab8545fda1ebe402d2d62754301fd041321767e7d01e6bf6af0df335fa870");
    image.pos_embed_len = 514;
    check_dit("FLF2V 14B", image, 1304, 16395536704,
              "12f617a7cb2d9a90d57443fc7f225388260406dbe0e55a24440cd42e7f9596c5");
    DitConfig vace = small;
    vace.vace_in = 96;
    for (; vace.vace_count < 15; vace.vace_count++) vace.vace_layers[vace.vace_count] = 2 * vace.vace_count;
    check_dit("VACE 1.3B", vace, 1264, 2153972032, "e22d38f3683fb230e5b97cfd561807100431cfa73580f6ae03ff009282201509");
    vace = large;
    vace.vace_in = 96;
    for (; vace.vace_count < 8; vace.vace_count++) vace.vace_layers[vace.vace_count] = 5 * vace.vace_count;
    check_dit("VACE 14B", vace, 1331, 17337592896, "00038327768fd5460b9ababa401cb6fe74978be08d8f260cdaaba1424ab47cbc");
}

static void check_vae(const char *what, const VaeConfig *c, int tensors, int64_t parameters, const char *sha256)
{
    List l = {.count = 0};
    for (int half = 0; half < 2; half++) {
        Vae *v = vae_new(c, half ? VAE_ENCODER : VAE_DECODER);
        weights_list(vae_plan(v), put, &l);
        vae_free(&v);
    }
    check(what, &l, tensors, parameters, sha256);
}

static void autoencoders(void **state)
{
    (void)state;
    VaeConfig z16 = {.base_dim = 96,
                     .decoder_base_dim = 96,
                     .z_dim = 16,
                     .stages = 4,
                     .dim_mult = {1, 2, 4, 4},
                     .res_blocks = 2,
                     .time_down = {false, true, true},
                     .in_channels = 3,
                     .out_channels = 3,
                     .patch = 1,
                     .scale_space = 8,
                     .scale_time = 4};
    check_vae("z16", &z16, 194, 126892531, "7759581fd77909c63c956001427e9ac293500cedb4fd63eb05f1bc7cd622bc5f");
    VaeConfig z48 = z16;
    z48.base_dim = 160;
    z48.decoder_base_dim = 256;
    z48.z_dim = 48;
    z48.residual = true;
    z48.in_channels = z48.out_channels = 12;
    z48.patch = 2;
    check_vae("z48", &z48, 196, 704688668, "a4f5c0c00a91cc7fcd4f0a0ddbe6481f4fd96d814deb734593f3abfaee7694b6");
}

static void encoders(void **state)
{
    (void)state;
    const TextConfig umt5 = {.vocab_size = 256384,
                             .d_model = 4096,
                             .d_kv = 64,
                             .d_ff = 10240,
                             .layers = 24,
                             .heads = 64,
                             .buckets = 32,
                             .max_distance = 128,
                             .eps = 1e-6f};
    const VisionConfig clip = {
        .width = 1280, .ffn_dim = 5120, .layers = 32, .heads = 16, .image_size = 224, .patch = 14};
    List l = {.count = 0}, m = {.count = 0};
    TextEncoder *text = text_new(&umt5);
    weights_list(text_plan(text), put, &l);
    text_free(&text);
    check("UMT5-XXL", &l, 242, 5680910336, "ed0bf525577e97c19fa57ef8c6876a7136ed55285744bcedfcc7507f3c2d3772");
    Vision *vision = vision_new(&clip, "");
    weights_list(vision_plan(vision), put, &m);
    vision_free(&vision);
    check("CLIP ViT-H", &m, 501, 611086080, "fc760ee7ffc654b544f188f148a0b5e5047a9e1f72eaaf03ead30a0a8c4120c1");
}

typedef struct {
    char *text;
    size_t used, room;
    int64_t bytes;
} Header;

static void put_header(void *self, const char *name, int ndim, const int64_t *dim)
{
    Header *h = self;
    int64_t count = 1;
    char shape[128] = "";
    for (int i = 0; i < ndim; i++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%s%" PRId64, i ? "," : "", dim[i]);
        count *= dim[i];
    }
    h->used +=
        (size_t)snprintf(h->text + h->used, h->room - h->used,
                         "%c\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}",
                         h->used ? ',' : '{', name, shape, h->bytes, h->bytes + 2 * count);
    h->bytes += 2 * count;
}

static int64_t resident_bytes(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_maxrss << 10;
}

/* 28.6 GB of weights as a file of holes. */
static void large_folder_opens_unread(void **state)
{
    (void)state;
    const DitConfig c = dit_of(40, 13824, 40, 16, 16);
    Dit *d = dit_new(&c);
    Header h = {.room = 1 << 20};
    h.text = memory_get(h.room, 1);
    weights_list(dit_plan(d), put_header, &h);
    h.text[h.used++] = '}';
    char folder[] = "/tmp/released-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = text_format("%s/diffusion_pytorch_model.safetensors", folder);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    const uint64_t length = h.used;
    assert_true(write(fd, &length, 8) == 8 && write(fd, h.text, h.used) == (ssize_t)h.used);
    if (ftruncate(fd, (off_t)(8 + h.used) + h.bytes) != 0) {
        print_message("[  SKIPPED ] %s takes no file of %" PRId64 " bytes, not even of holes\n", folder, h.bytes);
    } else {
        WeightSource *s;
        const int64_t before = resident_bytes();
        assert_int_equal(weights_open(folder, "diffusion_pytorch_model", &s).err, OK);
        Status status = weights_check(dit_plan(d), s);
        if (failed(status)) fail_msg("%s", status.message);
        assert_true(resident_bytes() - before < 32 << 20);
        weights_close(&s);
    }
    close(fd);
    unlink(path);
    rmdir(folder);
    free(path);
    free(h.text);
    dit_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(transformers), cmocka_unit_test(autoencoders),
                                       cmocka_unit_test(encoders), cmocka_unit_test(large_folder_opens_unread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
