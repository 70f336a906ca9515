// A site with the AWS CDK, and the invalidator as a nested stack. Node.js runs this file as it is: nothing is compiled.
//
// Unpack the stack archive into the folder `invalidator`, then run `npm ci` and `npx cdk deploy`. In an app of your own,
// take over `addInvalidator`.
import { App, CfnOutput, CfnStack, Stack } from 'aws-cdk-lib';
import { Distribution, ViewerProtocolPolicy } from 'aws-cdk-lib/aws-cloudfront';
import { S3BucketOrigin } from 'aws-cdk-lib/aws-cloudfront-origins';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';

// The parameters are those of the template, as strings.
//
// CfnInclude cannot be used: it requires an OnSuccess destination, which the template does not have, and it replaces
// parameters in conditions, which cannot refer to resources. A nested stack gets the template as it is.
function addInvalidator(stack: Stack, folder: string, parameters: Record<string, string>): CfnStack {
  const code = new Asset(stack, 'InvalidatorCode', { path: `${folder}/function.zip` });
  const template = new Asset(stack, 'InvalidatorTemplate', { path: `${folder}/template-s3.yaml` });
  return new CfnStack(stack, 'Invalidator', {
    templateUrl: template.httpUrl,
    // The key of an asset has the hash of its content. So a new function.zip updates the function.
    parameters: { CodeBucket: code.s3BucketName, CodeKey: code.s3ObjectKey, ...parameters },
  });
}

const stack = new Stack(new App(), 'Site');
const bucket = new Bucket(stack, 'Bucket', { enforceSSL: true, eventBridgeEnabled: true });
const distribution = new Distribution(stack, 'Distribution', {
  defaultRootObject: 'index.html',
  defaultBehavior: {
    origin: S3BucketOrigin.withOriginAccessControl(bucket),
    viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
  },
});
const invalidator = addInvalidator(stack, 'invalidator', {
  DistributionId: distribution.distributionId,
  SourceBucket: bucket.bucketName,
});
new CfnOutput(stack, 'FunctionArn', { value: invalidator.getAtt('Outputs.FunctionArn').toString() });
