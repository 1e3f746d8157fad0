"""Secrets of all kinds in the surroundings where they are met, made anew at every run; and what only looks like one.

The values are random, in the providers' documented formats. The same hand wrote these and the rules: the figure that
comes of them says that the rules do what they are meant to, not how often the world's secrets look otherwise.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid

_chance = random.SystemRandom()

HEX = "0123456789abcdef"
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
WORD = string.ascii_letters + string.digits
URL64 = WORD + "-_"
FULL64 = WORD + "+/"


def some(alphabet: str, size: int) -> str:
    """Random characters with a letter or digit at both ends."""
    ends = [one for one in alphabet if one.isalnum()]
    inside = "".join(_chance.choice(alphabet) for _ in range(size - 2))
    return _chance.choice(ends) + inside + _chance.choice(ends)


def password() -> str:
    """As a generator makes them: 16 characters of three kinds, a digit and a sign among them."""
    return some(WORD, 8) + _chance.choice("!#*%+") + some(WORD, 6) + _chance.choice("23456789")


def _pem(kind: str) -> str:
    body = "\n".join(some(FULL64, 64) for _ in range(12))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"


def planted() -> list[tuple[str, str, str]]:
    """(kind, the text around and with the secret, the secret itself)."""
    made: list[tuple[str, str, str]] = []

    def plant(kind: str, secret: str, around: str) -> None:
        made.append((kind, around.replace("@@", secret), secret))

    private = "PRIVATE " + "KEY"
    plant("aws access key", "AKIA" + some(string.ascii_uppercase + "234567", 16), "[default]\naws_access_key_id = @@\n")
    plant("aws secret key", some(FULL64, 40), "export AWS_SECRET_ACCESS_KEY=@@\n")
    plant("github classic", "ghp_" + some(WORD, 36), "git clone https://x-access-token:@@@github.com/acme/app.git")
    plant("github oauth", "gho_" + some(WORD, 36), '{"access_token":"@@","token_type":"bearer"}')
    plant("github fine-grained", f"github_pat_{some(WORD, 22)}_{some(WORD, 59)}", "gh auth login --with-token <<< @@")
    plant("gitlab", "glpat-" + some(URL64, 20), 'curl --header "PRIVATE-TOKEN: @@" https://gitlab.acme.io/api/v4/user')
    plant("openai old", f"sk-{some(WORD, 20)}T3{'Blbk'}FJ{some(WORD, 20)}", 'client = OpenAI(api_key="@@")')
    plant("openai project", f"sk-proj-{some(URL64, 74)}T3{'Blbk'}FJ{some(URL64, 74)}", "OPENAI_API_KEY=@@")
    plant("anthropic", f"sk-ant-api03-{some(URL64, 93)}AA", "$ echo $ANTHROPIC_API_KEY\n@@\n")
    plant("hugging face", "hf_" + some(string.ascii_letters, 34), "huggingface-cli login --token @@")
    plant("together new", "tgp_v1_" + some(URL64, 43), 'headers = {"Authorization": f"Bearer @@"}')
    plant("together old", some(HEX, 64), "TOGETHER_API_KEY=@@\n")
    plant("slack bot", f"xoxb-{some('123456789', 12)}-{some('123456789', 13)}-{some(WORD, 24)}", "slack: token: @@")
    plant(
        "slack webhook", f"T{some(UPPER, 8)}/B{some(UPPER, 8)}/{some(WORD, 24)}", "https://hooks.slack.com/services/@@"
    )
    plant("stripe", "sk_live_" + some(WORD, 24), "Stripe.api_key = '@@'")
    plant("google api key", "AIza" + some(URL64, 35), "https://maps.googleapis.com/maps/api/js?key=@@&libraries=places")
    plant("gcp service account", some(HEX, 40), '{"type": "service_account", "private_key_id": "@@", "client_id": "1"}')
    plant("rsa key", _pem(f"RSA {private}"), "$ cat id_rsa\n@@$ ")
    plant("openssh key", _pem(f"OPENSSH {private}"), "write ~/.ssh/id_ed25519:\n@@")
    plant("key in JSON", json.dumps(_pem(private))[1:-1], '{"private_key": "@@", "client_email": "x"}')
    plant(
        "jwt",
        ".".join(("eyJ" + some(URL64, 33), "eyJ" + some(URL64, 90), some(URL64, 43))),
        "Cookie: jwt=@@; theme=dark",
    )
    plant("postgres url", password(), "DATABASE_URL=postgres://app:@@@db.internal:5432/app")
    plant("mongodb url", some(WORD, 14), 'mongoose.connect("mongodb+srv://svc:@@@c0.ab1cd.mongodb.net/app")')
    plant("redis url", some(HEX, 64), "REDIS_URL: redis://:@@@cache:6379/0")
    plant("npm", "npm_" + some(WORD, 36), "//registry.npmjs.org/:_authToken=@@")
    plant("pypi", "pypi-AgEIcHlwaS5vcmc" + some(URL64, 140), "[pypi]\nusername = __token__\npassword = @@\n")
    plant("rubygems", "rubygems_" + some(HEX, 48), "---\n:rubygems_api_key: @@\n")
    plant("sendgrid", f"SG.{some(URL64, 22)}.{some(URL64, 43)}", "SENDGRID_API_KEY: @@")
    plant("twilio", "SK" + some(HEX, 32), "client = Client('@@', auth)")
    plant("digitalocean", "dop_v1_" + some(HEX, 64), "doctl auth init -t @@")
    plant("heroku", str(uuid.uuid4()), "HEROKU_API_KEY=@@ heroku apps")
    plant(
        "azure storage",
        some(FULL64, 86) + "==",
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=@@;EndpointSuffix=core.windows.net",
    )
    plant("azure client secret", f"{some(WORD, 3)}8Q~{some(URL64, 34)}", "az login --service-principal -p @@")
    plant("discord", f"M{some(WORD, 23)}.{some(URL64, 6)}.{some(URL64, 38)}", "bot.run('@@')")
    plant("telegram", f"{some('123456789', 10)}:AA{some(URL64, 33)}", "https://api.telegram.org/bot@@/getMe")
    plant("mailgun", "key-" + some(HEX, 32), "curl -s --user 'api:@@' https://api.mailgun.net/v3/domains")
    plant("datadog", some(HEX, 32), "DD_API_KEY=@@ DD_SITE=datadoghq.eu")
    plant("bearer", some(WORD, 40), "curl -H 'Authorization: Bearer @@' https://api.acme.io/v1/me")
    plant("yaml password", password(), "production:\n  adapter: mysql2\n  password: @@\n")
    plant("env password", password(), "DB_HOST=db\nDB_PASSWORD=@@\nDB_NAME=app\n")
    plant("docker auth", base64.b64encode(f"bob:{password()}".encode()).decode(), '{"auths":{"ghcr.io":{"auth":"@@"}}}')
    plant("netrc", password(), "machine git.acme.io login bob password @@\n")
    plant("rails master key", some(HEX, 32), "$ RAILS_MASTER_KEY=@@ bin/rails credentials:show")
    plant("rails secret_key_base", some(HEX, 128), "development:\n  secret_key_base: @@\n")
    plant("sentry dsn", some(HEX, 32), "Sentry.init({ dsn: 'https://@@@o4501.ingest.sentry.io/4502' })")
    plant("cloudflare", some(URL64, 40), "CLOUDFLARE_API_TOKEN=@@\n")
    plant("env inside JSON", some(WORD, 32), json.dumps({"output": "HOST=a\nAPI_SECRET=@@\nPORT=1"}))
    plant("JSON inside JSON", some(WORD, 32), json.dumps({"body": json.dumps({"client_secret": "@@"})}))
    plant("coloured output", "glpat-" + some(URL64, 20), "\x1b[33mtoken\x1b[0m \x1b[32m@@\x1b[0m")
    plant("url-encoded", "ghp_" + some(WORD, 36), "grant_type=x&token%3D@@%26scope%3Drepo")
    plant("go struct", some(WORD, 32), 'cfg := Config{ClientSecret: "@@", Retries: 3}')
    plant("swift constant", some(WORD, 32), 'private let apiKey = "@@"')
    plant("ruby hash", some(HEX, 40), "{ :access_token => '@@', :id => 7 }")
    plant("terraform", password(), 'resource "aws_db_instance" "db" {\n  password = "@@"\n}')
    plant("xml", password(), "<server><id>nexus</id><username>ci</username><password>@@</password></server>")
    plant("command line", password(), "mysql -u root --password=@@ app < dump.sql")
    plant("shopify", "shpat_" + some(HEX, 32), "X-Shopify-Access-Token: @@")
    plant("vault", "hvs." + some(URL64, 95), "export VAULT_TOKEN=@@")
    plant("databricks", "dapi" + some(HEX, 32), "databricks configure --token\nToken: @@")
    plant("linear", "lin_api_" + some(WORD, 40), "LINEAR=@@")
    return made


def harmless() -> list[str]:
    """Lines that look like secrets and are none."""
    sha1, sha256, code = some(HEX, 40), some(HEX, 64), some(WORD, 24)
    return [
        f"commit {sha1}",
        f"index {sha1[:7]}..{sha1[8:15]} 100644",
        f"Merge pull request #12 from acme/{sha1[:8]}",
        f'"integrity": "sha512-{some(FULL64, 86)}=="',
        f"google.golang.org/api v0.81.0 h1:{some(FULL64, 43)}=",
        f'checksum = "{sha256}"',
        f"sha256:{sha256}",
        f"FROM python@sha256:{sha256}",
        f'etag: W/"{some(HEX, 32)}"',
        f"request_id={uuid.uuid4()}",
        f"x-request-id: {uuid.uuid4()}",
        f"session: ses_{some(WORD, 26)}",
        f'"tool_call_id": "call_{some(WORD, 24)}"',
        f'"id": "toolu_{some(WORD, 24)}"',
        f'"id": "msg_{some(WORD, 24)}"',
        f'"id": "{uuid.uuid4()}"',
        'api_key = ENV["API_KEY"]',
        'api_key = ENV.fetch("API_KEY")',
        'password = os.environ["DB_PASSWORD"]',
        "const token = process.env.GITHUB_TOKEN",
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "password: ${DB_PASSWORD}",
        "password: changeme",
        'password = "your-password-here"',
        "API_KEY=<your api key>",
        "TOKEN=xxxxxxxxxxxxxxxxxxxxxxxx",
        'api_key: "sk-..."',
        "Authorization: Bearer <token>",
        "Authorization: Bearer $TOKEN",
        "postgres://user:password@localhost:5432/db",
        "postgres://localhost/app",
        "git@github.com:acme/app.git",
        "https://github.com/acme/app/blob/main/src/token_utils2.py#L10",
        f"![icon](data:image/png;base64,{some(FULL64, 200)})",
        f"background: url(data:font/woff2;base64,{some(FULL64, 120)})",
        "def token_for(user, expires_in: 3600)",
        "self.tokens = tokenize(text, max_tokens=4096)",
        "max_tokens: 8192",
        "input_tokens=123456 output_tokens=2345",
        "if (token.type === TokenType.Identifier2) {",
        'let key = format!("user:{}:v2", id);',
        'cache_key = "v3-" + sha256(path)',
        f"cache-key: node-modules-{sha256}",
        "primary_key = Column(Integer, primary_key=True)",
        "foreign_key: 'user_id_v2'",
        'public_key = "ssh-ed25519 ' + some(FULL64, 68) + ' bob"',
        "password_confirmation: params[:password_confirmation]",
        "t.string :password_digest, limit: 60",
        "has_secure_password",
        "secretKeyRef:\n  name: db\n  key: password",
        "secretsmanager.us-east-1.amazonaws.com",
        "AKIAIOSFODNN7" + "EXAMPLE",
        f"Digest: {sha256}",
        f"Downloaded {some(HEX, 16)}/archive-1.2.3.tar.gz",
        f"<script nonce={code[:6]}></script>",
        "ghp_your_token",
    ]
