"""Each file of a clip beside what configs/renditions.yaml says of its rendition, as ffprobe, mediainfo and ffmpeg see it.

profiles.py RENDITIONS.yaml FOLDER STEM FPS: the clip STEM was made in all of them, of a render of FPS frames a second. A magenta square lies
in the middle of its pictures from 1.0 to 1.5 s, and a tone of 3 kHz sounds for as long."""
import json
import os
import re
import struct
import subprocess
import sys

LEVELS = [(10, 1485, 99), (11, 3000, 396), (12, 6000, 396), (13, 11880, 396), (20, 11880, 396), (21, 19800, 792), (22, 20250, 1620),
          (30, 40500, 1620), (31, 108000, 3600), (32, 216000, 5120), (40, 245760, 8192), (42, 522240, 8704)]  # H.264, table A-1
FLASH_S, OFFSET_S = 1.0, 0.020

faults = []


def expect(good, file, what, found, want):
    if not good:
        faults.append(f"{os.path.basename(file)}: {what} is {found}, expected {want}")


def equal(file, what, found, want):
    expect(found == want, file, what, found, want)


def near(file, what, found, want, by):
    expect(abs(found - want) <= by, file, what, found, f"{want} within {by}")


def renditions(path):
    """{name: {key: text}}, in the file's order, with the defaults that it names at its beginning."""
    found, own = {}, {}
    for line in open(path, encoding="utf-8"):
        name, key = re.match(r"([a-z0-9_-]+):", line), re.match(r"  ([a-z_]+): *([^#]*)", line)
        if name:
            own = found[name[1]] = {"kind": "video", "codec": "h264", "sound": "auto", "lufs": "-14", "true_peak_db": "-1.5"}
        elif key:
            own[key[1]] = key[2].strip()
    return found


def ran(*command):
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise SystemExit(f"FAILED: {' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
    return done


def probe(file, *entries):
    return json.loads(ran("ffprobe", "-v", "error", "-of", "json", *entries, file).stdout)


# ---- containers -------------------------------------------------------------------------------------------------------------------

def boxes(data, start, end, path=""):
    """The names of an MP4's boxes, with those that they stand in, in the file's order."""
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start:start + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[start + 8:start + 16])[0], 16
        name = f"{path}/{kind.decode('latin1')}"
        yield name
        if kind in (b"moov", b"trak"):
            yield from boxes(data, start + head, start + size, name)
        start += size or end - start


def check_container(file, size_limit):
    data = open(file, "rb").read()
    names = list(boxes(data, 0, len(data)))
    expect(names.index("/moov") < names.index("/mdat"), file, "the order of its boxes", names, "moov before mdat (faststart)")
    expect(not any(n.endswith("/edts") for n in names), file, "its edit list", "there", "none")
    expect(not any(n.startswith("/moof") for n in names), file, "its form", "fragmented", "one piece")
    expect(not size_limit or len(data) <= size_limit * 1e6, file, "its size", len(data), f"at most {size_limit} MB")


# ---- pictures ---------------------------------------------------------------------------------------------------------------------

def rate_of(r, fps):
    """The rule of the guide: the rendition's rate, but the render's own where the platform takes that."""
    want, least, most = (int(r.get(k, 0)) for k in ("fps", "min_fps", "max_fps"))
    return fps if not want or (most and least <= fps <= most) else want


def check_picture(file, r, s, media, fps):
    w, h = map(int, (r.get("size") or "64x96").split("x"))
    for key, want in {"codec_name": r["codec"], "profile": "High", "width": w, "height": h, "pix_fmt": "yuv420p", "color_range": "tv",
                      "color_space": "bt709", "color_transfer": "bt709", "color_primaries": "bt709", "field_order": "progressive",
                      "sample_aspect_ratio": "1:1", "r_frame_rate": f"{fps}/1", "avg_frame_rate": f"{fps}/1", "start_pts": 0,
                      "codec_tag_string": "avc1"}.items():
        equal(file, key, s.get(key), want)
    blocks = -(-w // 16) * -(-h // 16)
    least = next(level for level, rate, frame in LEVELS if blocks <= frame and blocks * fps <= rate)
    expect(least <= s["level"] <= 42, file, "level", s["level"], f"{least} to 42, which every phone plays")
    for key, want in {"Format": "AVC", "Format_Profile": "High", "FrameRate_Mode": "CFR", "ChromaSubsampling": "4:2:0", "BitDepth": "8",
                      "ScanType": "Progressive", "colour_primaries": "BT.709", "transfer_characteristics": "BT.709",
                      "matrix_coefficients": "BT.709", "colour_range": "Limited", "Width": str(w), "Height": str(h)}.items():
        equal(file, f"mediainfo's {key}", media.get(key), want)
    near(file, "mediainfo's FrameRate", float(media["FrameRate"]), fps, 0.001)


def check_packets(file, packets, fps, cap_kbps):
    """Even frames; a key frame every half second, from the first frame on; nothing that is shown before a key frame comes after it (closed)."""
    times, keys, most_before = [], [], -1.0
    for p in packets:
        at = float(p["pts_time"])
        if p["flags"].startswith("K"):
            keys.append(at)
            expect(at > most_before, file, "a group's key frame", f"shown at {at} s, after a frame that follows it", "a closed group")
        expect(not keys or at >= keys[-1], file, "a frame", f"shown at {at} s, before its group's key frame at {keys[-1:]}", "a closed group")
        most_before = max(most_before, at)
        times.append(at)
    for n, at in enumerate(sorted(times)):
        near(file, f"the moment of frame {n}", at, n / fps, 0.001)
    step = (fps + 1) // 2
    equal(file, "its key frames", [round(k * fps) for k in keys], list(range(0, len(times), step)))
    bits = [8 * int(p["size"]) for p in packets]
    for i in range(len(bits)):  # the buffer holds one second
        seen = 0
        for k in range(i, len(bits)):
            seen += bits[k]
            if cap_kbps and seen > cap_kbps * 1000 * ((k - i + 1) / fps + 1):
                return expect(False, file, f"the bits of frames {i} to {k}", seen, f"what {cap_kbps} kbit/s let through")


# ---- sound ------------------------------------------------------------------------------------------------------------------------

def check_sound(file, r, s, media, seconds):
    for key, want in {"codec_name": "aac", "profile": "LC", "sample_rate": "48000", "channels": 2, "channel_layout": "stereo", "start_pts": 0}.items():
        equal(file, key, s.get(key), want)
    for key, want in {"Format": "AAC", "Format_AdditionalFeatures": "LC", "SamplingRate": "48000", "Channels": "2"}.items():
        equal(file, f"mediainfo's {key}", media.get(key), want)
    near(file, "the sound's length", float(s["duration"]), seconds, 0.05)
    told = ran("ffmpeg", "-hide_banner", "-nostats", "-i", file, "-map", "0:a", "-af", "ebur128=peak=true", "-f", "null", "-").stderr.decode()
    told = told[told.rindex("Summary:"):]
    near(file, "the loudness", float(re.search(r"I: *(-?[\d.]+) LUFS", told)[1]), float(r["lufs"]), 0.5)
    peak = float(re.search(r"Peak: *(-?[\d.]+) dBFS", told)[1])
    expect(peak <= float(r["true_peak_db"]) + 0.1, file, "the true peak", peak, f"at most {r['true_peak_db']} dB")


def first_tone(file):
    """When the tone of 3 kHz is first half as loud as it gets, seconds by the file's own clock."""
    raw = ran("ffmpeg", "-v", "error", "-i", file, "-map", "0:a", "-af", "highpass=f=2000,highpass=f=2000", "-ac", "1", "-f", "s16le", "-").stdout
    level = [abs(v[0]) for v in struct.iter_unpack("<h", raw)]
    half = max(level) / 2
    return next(i for i, v in enumerate(level) if v > half) / 48000


def first_square(file, r, fps):
    """When the square's place is first as magenta as it gets, but for a tenth."""
    seen = magenta(file, r)
    return next(i for i, v in enumerate(seen) if v > max(seen) * 0.9) / fps


def magenta(file, r, *options):
    """How magenta the middle of what the platform leaves free of each picture is, 0 to 255."""
    safe = {k: float(v) / 100 for k, v in re.findall(r"(\w+): *([\d.]+)", r.get("safe", "top: 3, right: 3, bottom: 3, left: 3"))}
    x, y = (safe["left"] + 1 - safe["right"]) / 2, (safe["top"] + 1 - safe["bottom"]) / 2
    raw = ran("ffmpeg", "-v", "error", "-i", file, *options, "-map", "0:v", "-vf", f"crop=iw/10:ih/20:iw*{x - 0.05}:ih*{y - 0.025},scale=1:1:flags=area,format=rgb24", "-f", "rawvideo",
              "-").stdout
    return [min(red, blue) - green for red, green, blue in struct.iter_unpack("3B", raw)]


# ---- files ------------------------------------------------------------------------------------------------------------------------

def check_video(file, r, own_fps):
    fps = rate_of(r, own_fps)
    p = probe(file, "-show_streams", "-show_format")
    media = {t["@type"]: t for t in json.loads(ran("mediainfo", "--Output=JSON", file).stdout)["media"]["track"]}
    kinds = [s["codec_type"] for s in p["streams"]]
    equal(file, "its streams", kinds, ["video", "audio", "subtitle"] if r["sound"] != "none" else ["video", "subtitle"])
    equal(file, "mediainfo's IsStreamable", media["General"].get("IsStreamable"), "Yes")
    check_container(file, float(r.get("max_mb", 0)))
    picture = p["streams"][0]
    packets = probe(file, "-select_streams", "v", "-show_entries", "packet=pts_time,flags,size")["packets"]
    seconds = len(packets) / fps
    check_picture(file, r, picture, media["Video"], fps)
    check_packets(file, packets, fps, int(r.get("max_kbps", 0)))
    equal(file, "nb_frames", int(picture["nb_frames"]), len(packets))
    near(file, "the picture's length", float(picture["duration"]), seconds, 0.001)
    near(file, "mediainfo's Duration", float(media["Video"]["Duration"]), seconds, 0.001)
    expect(seconds >= max(3, float(r.get("min_s", 0))), file, "its length", seconds, "3 s, which Reels wants of all of them, or more")
    expect(not float(r.get("max_s", 0)) or seconds <= float(r["max_s"]), file, "its length", seconds, f"at most {r.get('max_s')}")
    if "audio" in kinds:
        check_sound(file, r, p["streams"][1], media["Audio"], seconds)
        seen, heard = first_square(file, r, fps), first_tone(file)
        near(file, "the moment of the square", seen, FLASH_S, 0.001)
        near(file, "the tone's distance from it", heard - seen, 0, OFFSET_S)
        return f"{picture['width']}x{picture['height']}, {fps} a second, {seconds:.2f} s, tone {1000 * (heard - seen):+.1f} ms from the square"
    return f"{picture['width']}x{picture['height']}, {fps} a second, {seconds:.2f} s"


def check_still(file, r, own_fps):
    s = probe(file, "-show_streams", "-count_frames")["streams"]
    equal(file, "its streams", len(s), 1)
    w, h = map(int, r["size"].split("x"))
    bytes_ = os.path.getsize(file)
    expect(not r.get("max_mb") or bytes_ <= float(r["max_mb"]) * 1e6, file, "its size", bytes_, f"at most {r.get('max_mb')} MB")
    seen = magenta(file, r, "-frames:v", "1")[0]
    expect(seen > 150, file, "the middle of its first picture", f"magenta by {seen} of 255", "the square: it shows every overlay")
    if r["kind"] == "poster":
        for key, want in {"codec_name": "mjpeg", "width": w, "height": h, "pix_fmt": "yuvj420p", "nb_read_frames": "1"}.items():
            equal(file, key, s[0].get(key), want)
        return f"{w}x{h}, {bytes_} bytes"
    equal(file, "codec_name", s[0]["codec_name"], "gif")
    expect(s[0]["width"] <= w and s[0]["width"] * h == s[0]["height"] * w, file, "its size", f"{s[0]['width']}x{s[0]['height']}", f"{w}x{h} or smaller")
    near(file, "its length", float(s[0]["duration"]), 3, 0.2)
    expect(b"NETSCAPE2.0" in open(file, "rb").read(), file, "its loop", "none", "for ever")
    return f"{s[0]['width']}x{s[0]['height']}, {s[0]['nb_read_frames']} frames, {bytes_} bytes"


def main(profiles, folder, stem, fps):
    first = True
    for name, r in renditions(profiles).items():
        ending = {"video": "mp4", "poster": "jpg", "gif": "gif"}[r["kind"]]
        file = os.path.join(folder, f"{stem}.{ending}" if first or name == ending else f"{stem}.{name}.{ending}")
        print(f"{name}: {check_video(file, r, int(fps)) if r['kind'] == 'video' else check_still(file, r, int(fps))}")
        first = False
    for fault in faults:
        print(f"FAILED: {fault}")
    sys.exit(1 if faults else 0)


main(*sys.argv[1:])
