#!/usr/bin/env bash
# Fetches the page's third-party files at pinned versions into poke2vid/serve/static/vendor. Needs npm, pip and gzip.
# The same versions give the same bytes, so `git diff` after a run shows whether anything was tampered with.
set -euo pipefail
cd "$(dirname "$0")"

ORT=1.30.0
MEDIABUNNY=1.61.0
GIFENC=1.0.3
target=$(realpath ../poke2vid/serve/static)/vendor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() { # NAME VERSION: unpacks the npm package into $work/NAME; npm checks its integrity
    mkdir "$work/$1"
    tar -xzf "$work/$(cd "$work" && npm pack --silent "$1@$2")" -C "$work/$1" --strip-components=1
}

fetch onnxruntime-web $ORT
fetch mediabunny $MEDIABUNNY
fetch gifenc $GIFENC
# The npm package of ONNX Runtime holds no licence texts, the Python wheel of the same version does.
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$work" "onnxruntime==$ORT"
(cd "$work" && python3 -m zipfile -e onnxruntime-$ORT-*.whl wheel)

rm -rf "$target"
mkdir -p "$target/LICENSES"
ort=$work/onnxruntime-web/dist
# Two builds: a small one that computes on the CPU, and one that also knows WebGPU.
cp "$ort/ort.wasm.min.mjs" "$ort/ort-wasm-simd-threaded.mjs" "$target"
cp "$ort/ort.webgpu.min.mjs" "$ort/ort-wasm-simd-threaded.asyncify.mjs" "$target"
for name in ort-wasm-simd-threaded ort-wasm-simd-threaded.asyncify; do
    gzip -n -9 -c "$ort/$name.wasm" >"$target/$name.wasm.gz" # a quarter of the size; -n leaves out time and name
done
cp "$work/mediabunny/dist/bundles/mediabunny.min.mjs" "$work/gifenc/dist/gifenc.esm.js" "$target"

cp "$work/wheel/onnxruntime/LICENSE" "$target/LICENSES/onnxruntime-web.txt"
cp "$work/wheel/onnxruntime/ThirdPartyNotices.txt" "$target/LICENSES/onnxruntime-web-third-party.txt"
cp "$work/mediabunny/LICENSE" "$target/LICENSES/mediabunny.txt"
cp "$work/gifenc/LICENSE.md" "$target/LICENSES/gifenc.txt"
chmod 644 "$target"/*.* "$target"/LICENSES/*

python3 - "$target" $ORT $MEDIABUNNY $GIFENC <<'PYTHON'
import gzip, hashlib, json, pathlib, sys

target, ort, mediabunny, gifenc = pathlib.Path(sys.argv[1]), *sys.argv[2:]
packages = {
    "onnxruntime-web": (ort, "MIT", "https://github.com/microsoft/onnxruntime", "ort"),
    "mediabunny": (mediabunny, "MPL-2.0", "https://github.com/Vanilagy/mediabunny", "mediabunny"),
    "gifenc": (gifenc, "MIT", "https://github.com/mattdesl/gifenc", "gifenc"),
}


def digests(path):  # of what npm holds too, for another gzip may pack it otherwise
    found = {path.name: path.read_bytes()}
    if path.suffix == ".gz":
        found[path.stem] = gzip.decompress(found[path.name])
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


about = {
    name: {
        "version": version,
        "licence": licence,
        "source": source,
        "npm": f"https://www.npmjs.com/package/{name}/v/{version}",
        "licence_files": sorted(f"LICENSES/{p.name}" for p in (target / "LICENSES").glob(f"{name}*")),
        "sha256": {k: v for p in sorted(target.glob(f"{prefix}*")) for k, v in digests(p).items()},
    }
    for name, (version, licence, source, prefix) in packages.items()
}
(target / "VERSIONS.json").write_text(json.dumps(about, indent=1) + "\n")
PYTHON
du -sh "$target"
