/* fuzz_model_config.c - any text as one of a model folder's JSON files, the others being sound. The first byte says which. What
 * is accepted must be a model that can be planned: its tables of weights are built and measured. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "engine/engine.h"
#include "engine/speech/speech.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *name, *sound;
} files[] = {
    {"model_index.json", "{\"_class_name\":\"WanPipeline\",\"scheduler\":[\"d\",\"U\"],\"text_encoder\":[\"t\",\"U\"],"
                         "\"tokenizer\":[\"t\",\"T\"],"
                         "\"transformer\":[\"d\",\"W\"],\"vae\":[\"d\",\"A\"]}"},
    {"text_encoder/config.json", "{\"d_model\":48,\"num_layers\":2,\"num_heads\":3,\"d_kv\":16,\"d_ff\":80,\"vocab_"
                                 "size\":512,\"feed_forward_proj\":\"gated-gelu\"}"},
    {"transformer/config.json",
     "{\"num_attention_heads\":2,\"attention_head_dim\":32,\"text_dim\":48,\"num_layers\":2,\"ffn_dim\":112}"},
    {"vae/config.json", "{\"base_dim\":4}"},
    {"scheduler/scheduler_config.json",
     "{\"_class_name\":\"UniPCMultistepScheduler\",\"prediction_type\":\"flow_prediction\",\"use_flow_sigmas\":true}"},
    {"reelwright.json", "{\"width\":64,\"height\":48,\"frames\":9}"},
};
enum { FILES = sizeof files / sizeof *files, MOST_LAYERS = 64 };

static char *folder;

static void write_file(const char *name, const void *data, size_t size)
{
    char *path = path_join(folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || (size && fwrite(data, 1, size, f) != size) || fclose(f) != 0) abort();
    free(path);
}

static void remove_folder(void)
{
    char *command = text_format("rm -r %s", folder);
    if (system(command) != 0) fprintf(stderr, "%s stays\n", folder);
    free(command);
    free(folder);
}

static void make_folder(void)
{
    const bool memory = access("/dev/shm", W_OK) == 0; /* a disk takes milliseconds to replace a file */
    folder = text_format("%s/fuzz-model-XXXXXX", memory ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) abort();
    for (int i = 0; i < FILES; i++) {
        char *path = path_join(folder, files[i].name), *parent = path_folder(path);
        if (failed(file_make_folders(parent))) abort();
        free(parent);
        free(path);
        write_file(files[i].name, files[i].sound, strlen(files[i].sound));
    }
    char *ear = path_join(folder, "audio_encoder");
    if (failed(file_make_folders(ear))) abort();
    free(ear);
    atexit(remove_folder);
}

/* The same text as what says how a model hears. */
static void hear(const uint8_t *data, size_t size)
{
    SpeechConfig c;
    int64_t parameters, bytes;
    write_file("audio_encoder/config.json", data, size);
    if (failed(model_config_read_speech(folder, &c)) || c.layers > MOST_LAYERS) return;
    Speech *s = speech_new(&c, "");
    weights_measure(speech_plan(s), NULL, 1, 4, &parameters, &bytes);
    if (parameters <= 0 || speech_clip_count(&c, speech_least_samples(&c)) != 1) abort();
    if (speech_clip_count(&c, speech_least_samples(&c) - 1) != 0) abort();
    speech_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ModelConfig *c;
    if (size < 1) return 0;
    if (!folder) make_folder();
    const int which = data[0] % FILES;
    hear(data + 1, size - 1);
    write_file(files[which].name, data + 1, size - 1);
    Status status = model_config_read(folder, &c);
    if (!failed(status) && c->dit.layers <= MOST_LAYERS && c->text.layers <= MOST_LAYERS) {
        EnginePart part[ENGINE_MAX_PARTS];
        if (engine_measure(c, 2, &(BackendOptions){.kind = BACKEND_CPU}, part) < 4) abort();
        if (failed(model_config_check_shot(c, &c->defaults))) abort();
    }
    model_config_free(&c);
    write_file(files[which].name, files[which].sound, strlen(files[which].sound));
    return 0;
}
