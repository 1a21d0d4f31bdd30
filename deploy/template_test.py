"""Tests of what template.yaml promises, which read the file itself.

    python deploy/template_test.py

It needs PyYAML, which is installed together with cfn-lint.
"""

import re
import unittest
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
# The longest `?wait=` of an upload, in seconds.
LONGEST_WAIT = 25


class CloudFormationLoader(yaml.SafeLoader):
    """Reads CloudFormation's short forms: `!Sub text` becomes `{"Sub": "text"}`."""


def read_short_form(loader, tag, node):
    """Reads one intrinsic function in its short form."""
    if isinstance(node, yaml.ScalarNode):
        return {tag: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    return {tag: loader.construct_mapping(node, deep=True)}


CloudFormationLoader.add_multi_constructor("!", read_short_form)
TEMPLATE = yaml.load((FOLDER / "template.yaml").read_text(), CloudFormationLoader)
RESOURCES = TEMPLATE["Resources"]
DISTRIBUTION = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]
DEFAULT = DISTRIBUTION["DefaultCacheBehavior"]
BEHAVIORS = {behavior["PathPattern"]: behavior for behavior in DISTRIBUTION["CacheBehaviors"]}


def properties(name):
    """The properties of one resource."""
    return RESOURCES[name]["Properties"]


def of_type(kind):
    """The names of all resources of a type."""
    return [name for name, resource in RESOURCES.items() if resource["Type"] == kind]


def listed(value):
    """A list of what IAM takes either as one thing or as a list."""
    return value if isinstance(value, list) else [value]


def cache_policy(behavior):
    """The parameters of the cache policy that a behavior names."""
    return properties(behavior["CachePolicyId"]["Ref"])["CachePolicyConfig"]


class Bucket(unittest.TestCase):
    """The pictures, and who may read them."""

    def test_only_this_distribution_reads_and_only_pictures(self):
        statements = properties("BucketPolicy")["PolicyDocument"]["Statement"]
        allowed = [statement for statement in statements if statement["Effect"] != "Deny"]
        self.assertEqual(len(allowed), 1)
        statement = allowed[0]
        self.assertEqual(statement["Principal"], {"Service": "cloudfront.amazonaws.com"})
        self.assertEqual(listed(statement["Action"]), ["s3:GetObject"])
        self.assertEqual(listed(statement["Resource"]), [{"Sub": "${Bucket.Arn}/i/*"}])
        source = "arn:aws:cloudfront::${AWS::AccountId}:distribution/${Distribution}"
        self.assertEqual(
            statement["Condition"], {"StringEquals": {"AWS:SourceArn": {"Sub": source}}}
        )
        self.assertFalse({"NotAction", "NotResource", "NotPrincipal"} & set(statement))

    def test_there_is_one_bucket_with_one_policy_and_nothing_public(self):
        self.assertEqual(of_type("AWS::S3::Bucket"), ["Bucket"])
        self.assertEqual(of_type("AWS::S3::BucketPolicy"), ["BucketPolicy"])
        blocks = properties("Bucket")["PublicAccessBlockConfiguration"]
        self.assertEqual(
            blocks,
            dict.fromkeys(
                (
                    "BlockPublicAcls",
                    "BlockPublicPolicy",
                    "IgnorePublicAcls",
                    "RestrictPublicBuckets",
                ),
                True,
            ),
        )
        self.assertFalse({"AccessControl", "WebsiteConfiguration"} & set(properties("Bucket")))

    def test_deleted_means_deleted(self):
        self.assertFalse(
            {"VersioningConfiguration", "ObjectLockEnabled", "ReplicationConfiguration"}
            & set(properties("Bucket"))
        )

    def test_pictures_expire_and_nothing_else_does(self):
        rules = properties("Bucket")["LifecycleConfiguration"]["Rules"]
        expiring = [rule for rule in rules if any(key.startswith("Expiration") for key in rule)]
        self.assertEqual(len(expiring), 1)
        self.assertEqual(expiring[0]["Prefix"], "i/")
        self.assertEqual(expiring[0]["ExpirationInDays"], {"Ref": "RetentionDays"})
        self.assertEqual(expiring[0]["Status"], "Enabled")
        self.assertEqual(TEMPLATE["Parameters"]["RetentionDays"]["Default"], 7)


class Server(unittest.TestCase):
    """What the server is allowed to do at AWS."""

    def test_the_user_can_do_what_it_needs_and_no_more(self):
        rights = {}
        for policy in properties("ServerUser")["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                self.assertEqual(statement["Effect"], "Allow")
                for action in listed(statement["Action"]):
                    rights[action] = [
                        part if isinstance(part, str) else next(iter(part.values()))
                        for part in listed(statement["Resource"])
                    ]
        folders = [f"${{Bucket.Arn}}/{folder}/*" for folder in ("i", "meta", "pkg")]
        distribution = ["arn:aws:cloudfront::${AWS::AccountId}:distribution/${Distribution}"]
        reading = (
            "ListBucket",
            "GetBucketLocation",
            "GetBucketPolicyStatus",
            "GetBucketPublicAccessBlock",
        )
        reading += ("GetBucketVersioning", "GetLifecycleConfiguration")
        expected = dict.fromkeys((f"s3:{name}" for name in reading), ["Bucket.Arn"])
        objects = ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload")
        expected |= dict.fromkeys((f"s3:{name}" for name in objects), folders)
        expected |= dict.fromkeys(
            ("rekognition:DetectLabels", "rekognition:DetectModerationLabels"), ["*"]
        )
        purging = ("CreateInvalidation", "GetInvalidation", "GetDistribution")
        expected |= dict.fromkeys((f"cloudfront:{name}" for name in purging), distribution)
        self.assertEqual(rights, expected)

    def test_an_upload_can_wait_for_its_verdict(self):
        origin = next(origin for origin in DISTRIBUTION["Origins"] if origin["Id"] == "server")
        self.assertGreaterEqual(
            origin["CustomOriginConfig"]["OriginReadTimeout"], LONGEST_WAIT + 10
        )
        self.assertEqual(origin["CustomOriginConfig"]["OriginProtocolPolicy"], "https-only")

    def test_the_server_can_tell_cloudfront_from_strangers(self):
        origin = next(origin for origin in DISTRIBUTION["Origins"] if origin["Id"] == "server")
        self.assertEqual(
            origin["OriginCustomHeaders"],
            [{"HeaderName": "X-Catto-Origin-Key", "HeaderValue": {"Ref": "OriginKey"}}],
        )

    def test_secrets_are_not_shown(self):
        self.assertIs(TEMPLATE["Parameters"]["OriginKey"]["NoEcho"], True)
        self.assertNotIn("OriginKey", repr(TEMPLATE["Outputs"]))
        self.assertEqual(of_type("AWS::IAM::AccessKey"), [])


class Caching(unittest.TestCase):
    """What CloudFront keeps, and under which key."""

    def test_the_origin_decides_how_long_anything_is_kept(self):
        for behavior in (DEFAULT, *BEHAVIORS.values()):
            policy = cache_policy(behavior)
            self.assertEqual((policy["MinTTL"], policy["DefaultTTL"]), (0, 0))
            cookies = policy["ParametersInCacheKeyAndForwardedToOrigin"]["CookiesConfig"]
            self.assertEqual(cookies, {"CookieBehavior": "none"})
        for response in DISTRIBUTION["CustomErrorResponses"]:
            self.assertEqual(set(response), {"ErrorCode", "ErrorCachingMinTTL"})
            self.assertEqual(response["ErrorCachingMinTTL"], 0)

    def test_purging_by_tag_is_switched_on_for_the_header_that_the_server_writes(self):
        self.assertEqual(DISTRIBUTION["CacheTagConfig"], {"HeaderName": "Cache-Tag"})

    def test_every_error_that_cloudfront_would_keep_by_itself_is_named(self):
        codes = {response["ErrorCode"] for response in DISTRIBUTION["CustomErrorResponses"]}
        self.assertLessEqual({404, 414, 500, 501, 502, 503, 504}, codes)

    def test_no_query_reaches_the_server_outside_the_key(self):
        for name in of_type("AWS::CloudFront::OriginRequestPolicy"):
            config = properties(name)["OriginRequestPolicyConfig"]
            self.assertEqual(config["QueryStringsConfig"], {"QueryStringBehavior": "none"})
            self.assertEqual(config["CookiesConfig"], {"CookieBehavior": "none"})
            self.assertNotIn("Host", config["HeadersConfig"]["Headers"])

    def test_bearer_tokens_reach_the_api(self):
        policy = cache_policy(BEHAVIORS["/api/*"])["ParametersInCacheKeyAndForwardedToOrigin"]
        self.assertEqual(policy["HeadersConfig"]["Headers"], ["Authorization"])


class Behaviors(unittest.TestCase):
    """Which addresses go to the bucket, and which to the server."""

    def test_the_bucket_is_behind_i_and_nowhere_else(self):
        group = DISTRIBUTION["OriginGroups"]["Items"][0]
        self.assertEqual(
            [member["OriginId"] for member in group["Members"]["Items"]], ["bucket", "server"]
        )
        self.assertEqual(BEHAVIORS["/i/*"]["TargetOriginId"], group["Id"])
        others = [
            DEFAULT,
            *(behavior for pattern, behavior in BEHAVIORS.items() if pattern != "/i/*"),
        ]
        self.assertEqual({behavior["TargetOriginId"] for behavior in others}, {"server"})

    def test_only_where_something_is_written_are_writing_methods_taken(self):
        writing = {
            pattern
            for pattern, behavior in BEHAVIORS.items()
            if "POST" in behavior["AllowedMethods"]
        }
        self.assertEqual(writing, {"/api/*", "/c/*", "/upload", "/delete/*"})
        # The clients of other image hosts upload to addresses of their own.
        for behavior in (DEFAULT, *(BEHAVIORS[pattern] for pattern in writing)):
            self.assertLessEqual({"PUT", "POST", "DELETE"}, set(behavior["AllowedMethods"]))

    def test_nothing_gets_round_the_function(self):
        association = [
            {"EventType": "viewer-request", "FunctionARN": {"GetAtt": "ViewerRequest.FunctionARN"}}
        ]
        for behavior in (DEFAULT, *BEHAVIORS.values()):
            self.assertEqual(behavior["FunctionAssociations"], association)
            self.assertIn(behavior["ViewerProtocolPolicy"], ("https-only", "redirect-to-https"))

    def test_the_function_is_the_tested_file(self):
        function = properties("ViewerRequest")
        code = function["FunctionCode"]["Sub"]
        self.assertEqual(code, (FOLDER / "viewer_request.js").read_text())
        self.assertEqual(re.findall(r"\$\{([^}]*)\}", code), ["EdgeKeyDigests"])
        self.assertEqual(function["FunctionConfig"]["Runtime"], "cloudfront-js-2.0")
        self.assertIs(function["AutoPublish"], True)

    def test_images_carry_what_the_server_would_write(self):
        headers = properties(BEHAVIORS["/i/*"]["ResponseHeadersPolicyId"]["Ref"])[
            "ResponseHeadersPolicyConfig"
        ]
        self.assertEqual(headers["CorsConfig"]["AccessControlAllowOrigins"], {"Items": ["*"]})
        security = headers["SecurityHeadersConfig"]
        self.assertEqual(security["ContentSecurityPolicy"]["ContentSecurityPolicy"], "sandbox")
        self.assertIn("ContentTypeOptions", security)


class Bill(unittest.TestCase):
    """What limits the costs, and who is told about them."""

    def test_no_rule_refuses_a_large_upload(self):
        rules = properties("WebAcl")["Rules"]
        self.assertEqual(properties("WebAcl")["DefaultAction"], {"Allow": {}})
        self.assertEqual([list(rule["Statement"]) for rule in rules], [["RateBasedStatement"]])

    def test_the_web_acl_comes_only_with_the_plan_that_pays_for_it(self):
        for name in ("WebAcl", "PricingPlan"):
            self.assertEqual(RESOURCES[name]["Condition"], "IsFlatRate")
        self.assertEqual(DISTRIBUTION["WebACLId"]["If"][0], "IsFlatRate")
        self.assertEqual(properties("PricingPlan")["PlanTier"], "FREE")

    def test_somebody_hears_before_the_money_is_gone(self):
        kinds = {
            (entry["Notification"]["NotificationType"], entry["Notification"]["Threshold"])
            for entry in properties("BudgetAlarm")["NotificationsWithSubscribers"]
        }
        self.assertEqual(kinds, {("ACTUAL", 50), ("ACTUAL", 100), ("FORECASTED", 100)})


if __name__ == "__main__":
    unittest.main()
