/* test_safetensors.c - files that are sound are read, files that lie are refused with file and tensor in the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "common/file.h"
#include "engine/weights/safetensors.h"

typedef struct {
    char bytes[4096];
    size_t size;
} File;

/* Header with its length in front, then `data` bytes that count up. */
static File make(const char *header, size_t data)
{
    File f = {.size = 8 + strlen(header) + data};
    uint64_t length = strlen(header);
    for (int i = 0; i < 8; i++) f.bytes[i] = (char)(length >> 8 * i);
    memcpy(f.bytes + 8, header, length);
    for (size_t i = 0; i < data; i++) f.bytes[8 + length + i] = (char)i;
    return f;
}

static const char sound[] =
    "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]},"
    "\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}";

static void reads_sound_files(void **state)
{
    (void)state;
    File f = make(sound, 28);
    Safetensors *s;
    assert_int_equal(safetensors_open_memory("x", f.bytes, f.size, &s).err, OK);
    assert_int_equal(safetensors_count(s), 2);
    assert_string_equal(safetensors_at(s, 0)->name, "a");
    const StoredTensor *b = safetensors_find(s, "b");
    assert_true(b && b->type == STORED_F32 && b->ndim == 2 && b->dim[0] == 2 && b->dim[1] == 3 && b->bytes == 24);
    assert_int_equal(((const char *)b->data)[0], 4);
    assert_null(safetensors_find(s, "c"));
    assert_int_equal(safetensors_bytes(s), 28);
    safetensors_close(&s);
    assert_null(s);
}

/* A header of 0x0280 bytes begins as a pickle does, one of 0x04034b50 as a zip archive: the file's size tells. */
static void a_length_is_no_pickle(void **state)
{
    (void)state;
    char header[641];
    snprintf(header, sizeof header, "%-640s", sound);
    File f = make(header, 28);
    Safetensors *s;
    assert_memory_equal(f.bytes, "\x80\2", 2);
    assert_string_equal(safetensors_open_memory("x", f.bytes, f.size, &s).message, "");
    assert_int_equal(safetensors_count(s), 2);
    safetensors_close(&s);
    f.bytes[7] = 'F';
    assert_non_null(strstr(safetensors_open_memory("x", f.bytes, f.size, &s).message, "PyTorch"));
    memcpy(f.bytes, "PK\3\4\0\0\0\0", 8);
    assert_non_null(strstr(safetensors_open_memory("x", f.bytes, f.size, &s).message, "PyTorch"));
}

static const struct {
    const char *header;
    size_t data;
    const char *says; /* part of the message */
} lies[] = {
    {"[]", 0, "no JSON object"},
    {"{\"a\":", 0, "header, byte"},
    {"{\"a\":1}", 0, "tensor \"a\": expected {dtype"},
    {"{\"a\":{\"dtype\":\"Q7\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype \"Q7\" is unknown"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "shape has an entry"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "shape has an entry"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],\"data_offsets\":[0,4]}}", 4, "too large"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "shape is no list"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "data_offsets is no pair"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 4, "lie outside the file's 4 bytes"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "lie outside"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "lie outside"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
     "span 4 bytes, but shape and dtype F32 need 8"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "leaves a gap"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "after the last tensor"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_"
     "offsets\":[2,6]}}",
     6, "overlaps"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_"
     "offsets\":[4,8]}}",
     8, "duplicate"},
};

static void refuses_lies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        File f = make(lies[i].header, lies[i].data);
        Safetensors *s;
        Status status = safetensors_open_memory("weights.safetensors", f.bytes, f.size, &s);
        assert_int_equal(status.err, ERR_INPUT);
        assert_null(s);
        if (!strstr(status.message, lies[i].says) || !strstr(status.message, "weights.safetensors"))
            fail_msg("case %zu: \"%s\", expected \"%s\"", i, status.message, lies[i].says);
    }
}

static void refuses_headers_beyond_the_file(void **state)
{
    (void)state;
    Safetensors *s;
    File f = make(sound, 28);
    for (size_t size = 0; size < f.size; size++) /* truncated anywhere */
        assert_int_equal(safetensors_open_memory("x", f.bytes, size, &s).err, ERR_INPUT);
    memset(f.bytes, 0xff, 8);
    assert_int_equal(safetensors_open_memory("x", f.bytes, f.size, &s).err, ERR_INPUT);
    memcpy(f.bytes, "\0\0\0\200\0\0\0\0", 8); /* 2 GB */
    Status status = safetensors_open_memory("x", f.bytes, f.size, &s);
    assert_non_null(strstr(status.message, "2147483648 bytes long, expected at most"));
}

static void write_text(const char *folder, const char *name, const void *data, size_t bytes)
{
    char *path = path_join(folder, name);
    assert_int_equal(file_replace(path, data, bytes).err, OK);
    free(path);
}

static void shards_need_what_the_index_says(void **state)
{
    (void)state;
    char folder[] = "/tmp/safetensors-XXXXXX";
    assert_non_null(mkdtemp(folder));
    Safetensors *s;
    assert_int_equal(safetensors_open_folder(folder, "m", &s).err, ERR_INPUT);
    File one = make("{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4);
    File two = make("{\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4);
    write_text(folder, "m-1.safetensors", one.bytes, one.size);
    write_text(folder, "m-2.safetensors", two.bytes, two.size);
    static const struct {
        const char *index, *says;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}", NULL},
        {"{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-1.safetensors\"}}",
         "tensor \"b\" is not in m-1.safetensors"},
        {"{\"weight_map\":{\"a\":\"m-3.safetensors\"}}", "m-3.safetensors"},
        {"{\"weight_map\":{\"a\":\"../m-1.safetensors\"}}", "no file name of this folder"},
        {"{}", "weight_map is missing"},
        {"{", "index.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_text(folder, "m.safetensors.index.json", cases[i].index, strlen(cases[i].index));
        Status status = safetensors_open_folder(folder, "m", &s);
        assert_int_equal(status.err, cases[i].says ? ERR_INPUT : OK);
        if (cases[i].says && !strstr(status.message, cases[i].says)) fail_msg("%s", status.message);
        if (!cases[i].says) assert_int_equal(safetensors_count(s), 2);
        safetensors_close(&s);
    }
    char *clean = text_format("rm -r %s", folder);
    assert_int_equal(system(clean), 0);
    free(clean);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sound_files), cmocka_unit_test(a_length_is_no_pickle), cmocka_unit_test(refuses_lies),
        cmocka_unit_test(refuses_headers_beyond_the_file), cmocka_unit_test(shards_need_what_the_index_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
