#!/usr/bin/env python3
"""witness.py CLIP - what the Python package c2pa reads in a clip that test_credentials.c signed; fails where it is not what was signed."""
import json, sys
import c2pa

with open(sys.argv[1], "rb") as clip:
    report = json.loads(c2pa.Reader("video/mp4", clip).json())
manifest = report["manifests"][report["active_manifest"]]
assertions = {}
for one in manifest["assertions"]:
    assertions.setdefault(one["label"].split("__")[0], []).append(one["data"])
assert report["validation_state"] in ("Valid", "Trusted"), report["validation_state"]
actions = [a["action"] for a in assertions["c2pa.actions.v2"][0]["actions"]]
assert actions == ["c2pa.created", "c2pa.watermarked.bound"], actions
assert assertions["c2pa.actions.v2"][0]["actions"][0]["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
bindings = {b["alg"]: b["blocks"][0]["value"] for b in assertions["c2pa.soft-binding"]}
assert bindings["io.iscc.v0"].startswith("ISCC:EMD") and bindings["com.reelwright.watermark.1"] == "0000000000001234", bindings
assert assertions["c2pa.training-mining"][0]["entries"]["c2pa.data_mining"]["use"] == "notAllowed"
assert assertions["com.reelwright.clip"][0]["model"][0]["part"] == "transformer"
print("witness: read as it was signed")
