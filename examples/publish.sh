#!/bin/sh
# Uploads a local build of a site and invalidates what changed.
#
#   publish.sh DIRECTORY BUCKET DISTRIBUTION
set -eu

site=$1 bucket=$2 distribution=$3

# A file instead of a pipe: in a pipe the shell does not see that the upload failed.
changes=$(mktemp)
trap 'rm -f "$changes"' EXIT
aws s3 sync "$site" "s3://$bucket" --delete --no-progress >"$changes"

# A second run of this script would find nothing to upload. So this run tries several times with the same changes.
for attempt in 1 2 3 4 5; do
    status=0
    cf-invalidate create -d "$distribution" --from-s3-sync "$changes" --site "$site" --wait=5m --yes || status=$?
    case $status in
        0) exit 0 ;;
        3) echo "published; CloudFront has not completed the invalidation yet"; exit 0 ;;
        4) sleep "${PAUSE:-60}" ;; # throttled or quota in use
        *) break ;;
    esac
done
echo "published, but CloudFront may serve old copies: run cf-invalidate create -d $distribution '/*'" >&2
exit "$status"
