"""The control 'copies': samples, of which a share gives way to pictures of their own page.

    python scripts/plant_copies.py --samples results/experts/samples-*.parquet \\
        --inputs results/experts/inputs/*/*/demonstrations.parquet \\
        --input-images results/experts/inputs/*/*/images.tar \\
        --embeddings results/scores/embeddings-*.safetensors --scores results/scores/delta_clip.parquet \\
        --planted results/controls/copies.parquet --pictures results/controls/copies.tar \\
        --planted-scores results/controls/scores.parquet \\
        --settings '{"seed": 0, "filtering.score": "delta_clip", "filtering.planted_share": 0.72}'

The table has all samples, the shard the copies alone: the others' pictures are the experts'.
"""

from __future__ import annotations

from suti.cli.arguments import parser
from suti.controls import plant, planted_scores
from suti.experts.embedding import SubjectEmbeddings, read_embeddings
from suti.io import tables
from suti.io.shard_index import ShardIndex
from suti.io.shards import write_shard


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--samples", nargs="+", required=True, help="tables 'samples' of all shards")
    arguments.add_argument("--inputs", nargs="+", required=True, help="tables 'demonstrations' of the experts")
    arguments.add_argument("--input-images", nargs="+", required=True, help="shards of their pictures")
    arguments.add_argument("--embeddings", nargs="+", required=True, help="embeddings of all shards")
    arguments.add_argument("--scores", required=True, metavar="FILE", help="table 'scores' of all samples")
    arguments.add_argument("--planted", required=True, metavar="FILE", help="table 'samples' to write")
    arguments.add_argument("--pictures", required=True, metavar="FILE", help="shard of copies to write")
    arguments.add_argument("--planted-scores", required=True, metavar="FILE", help="table 'scores' to write")
    args = arguments.parse_args()
    s = args.settings
    demonstrations = tables.read_all(args.inputs, "demonstrations")
    samples = tables.read_all(args.samples, "samples")
    planted = plant(samples, demonstrations, s["filtering.planted_share"], s.seed)
    embeddings: dict[str, SubjectEmbeddings] = {}
    for path in args.embeddings:
        embeddings |= read_embeddings(path)
    scores = tables.read(args.scores, "scores")
    scored = planted_scores(planted, scores, demonstrations, embeddings, s["filtering.score"])
    copies = planted[planted["copied"] != ""]
    shards = [ShardIndex(path, only=set(copies["copied"])) for path in args.input_images]
    place = {key: shard for shard in shards for key in shard}
    names = zip(copies["sample_id"], copies["copied"], strict=True)
    write_shard(args.pictures, ((f"{name}.png", place[key][key]) for name, key in names))
    tables.write(args.planted, "samples", planted.drop(columns="copied"))
    tables.write(args.planted_scores, "scores", scored)
    print(f"{len(copies)} of {len(planted)} samples gave way to copies")


if __name__ == "__main__":
    main()
