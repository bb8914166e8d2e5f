"""What is wrong with a VAST document, and the same document in another version.

python examples/lint_vast.py
"""

from xsp.vast.v1.vast_lists_pb2 import VAST_VERSION_2_0, VAST_VERSION_4_2
from xsp_server.vast.faults import VastUnreadable
from xsp_server.vast.lint import lint
from xsp_server.vast.parse import parse
from xsp_server.vast.render import render

DOCUMENT = b"""\
<VAST version="4.2">
 <Ad id="shoes"><InLine>
  <AdSystem>shop</AdSystem>
  <Impression>https://shop.example/seen</Impression>
  <AdTitle>Shoes</AdTitle>
  <Pricing model="cpm">4.50</Pricing>
  <Creatives><Creative adid="SHOE0001"><Linear>
   <Duration>15</Duration>
   <MediaFiles>
    <MediaFile delivery="progressive" type="video/mp4" width="1280" height="720">
     https://cdn.example/shoes.mp4
    </MediaFile>
   </MediaFiles>
  </Linear></Creative></Creatives>
 </InLine></Ad>
</VAST>
"""


def main() -> None:
    """Reading takes what the field sends; linting tells what is wrong with it."""
    for violation in lint(DOCUMENT):
        print(f"{violation.line}: {violation.path}: {violation.message}")

    vast = parse(DOCUMENT)
    [creative] = vast.ads[0].inline.creatives
    print(f"read: {creative.ad_id}, {creative.linear.media_files.media_files[0].url}")

    for version in (VAST_VERSION_4_2, VAST_VERSION_2_0):
        rendered = render(vast, version=version, indent=True)
        print(rendered.xml.splitlines()[1])
        for violation in rendered.violations:
            print(f"  {violation.path}: {violation.message}")

    try:
        parse(DOCUMENT.replace(b"<VAST", b"<!DOCTYPE VAST [<!ENTITY a 'aaaa'>]><VAST"))
    except VastUnreadable as error:
        print(f"refused with code {error.code}: {error}")


main()
