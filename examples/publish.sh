#!/bin/sh
# Uploads a local build of a site and invalidates what changed.
#
#   publish.sh DIRECTORY BUCKET DISTRIBUTION
#
# The exit status is that of aws if the upload failed, else that of cf-invalidate; 0 if the invalidation is submitted, but
# not completed within five minutes. It needs s3:ListBucket, PutObject and DeleteObject for the upload, and
# cloudfront:CreateInvalidation, GetInvalidation and GetDistributionConfig on the distribution.
set -eu

site=${1-} bucket=${2-} distribution=${3-}
if [ ! -d "$site" ] || [ -z "$bucket" ] || [ -z "$distribution" ]; then
    echo "usage: publish.sh DIRECTORY BUCKET DISTRIBUTION" >&2
    exit 2
fi

# A file instead of a pipe: in a pipe the shell does not see that the upload failed.
changes=$(mktemp)
trap 'rm -f "$changes"' EXIT
# Ctrl-C stops the upload only: what was uploaded is invalidated.
trap : INT

upload=0
aws s3 sync "$site" "s3://$bucket" --delete --no-progress >"$changes" || upload=$?
case $upload in
    # 2: aws skipped files, such as unreadable ones, and uploaded the others.
    0 | 2) set -- --from-s3-sync "$changes" --site "$site" ;;
    # aws does not print uploads that it had begun when it failed or was stopped, and a second run would not find them.
    # So invalidate everything.
    *) set -- '/*' ;;
esac

invalidation=0
cf-invalidate create -d "$distribution" "$@" --retry=5m --wait=5m --yes || invalidation=$?
case $invalidation in
    0) ;;
    3)
        echo "CloudFront has not completed the invalidation yet"
        invalidation=0
        ;;
    *) echo "CloudFront may serve old copies: run cf-invalidate create -d $distribution '/*'" >&2 ;;
esac

if [ "$upload" != 0 ]; then
    echo "the upload failed: run this script again" >&2
    exit "$upload"
fi
exit "$invalidation"
