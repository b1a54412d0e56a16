"""Answers queries, as csv.

python predict.py queries.csv > answers.csv
python predict.py queries.csv --weights trained.npz > answers.csv
"""

import argparse
import sys

import data
import model

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", help="a file, or a folder of files")
    parser.add_argument("--weights", default=None, help="by default those that came with this folder")
    given = parser.parse_args()
    try:
        found = data.answers(data.read(given.queries), model.caller(model.load(given.weights)))
    except data.DataError as error:
        sys.exit(str(error))
    found.to_csv(sys.stdout, index=False)
