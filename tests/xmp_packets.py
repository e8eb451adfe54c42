"""Sidecars as Lightroom and darktable write them: develop settings, a history, tags and a rating that a person gave."""

HEAD = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">\n'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
)
TAIL = '\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'


def packet(body: str) -> bytes:
    return f"{HEAD}{body}{TAIL}".encode()


LIGHTROOM = packet("""<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
  xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:odd="http://example.org/odd/1.0/"
  xmp:Rating="4" xmp:Label="Red" crs:Version="15.0" crs:Exposure2012="+0.35" crs:HasSettings="True" odd:thing="x &amp; &lt;y&gt;">
 <dc:subject><rdf:Bag><rdf:li>Ute &lt;3</rdf:li><rdf:li>a, b</rdf:li></rdf:Bag></dc:subject>
 <dc:title><rdf:Alt><rdf:li xml:lang="x-default">Hi, there</rdf:li><rdf:li xml:lang="de-DE">Grüße</rdf:li></rdf:Alt></dc:title>
 <lr:hierarchicalSubject><rdf:Bag><rdf:li>people|Ute</rdf:li></rdf:Bag></lr:hierarchicalSubject>
 <crs:ToneCurvePV2012><rdf:Seq><rdf:li>0, 0</rdf:li><rdf:li>255, 255</rdf:li></rdf:Seq></crs:ToneCurvePV2012>
 <crs:Look><rdf:Description crs:Name="Adobe Color" crs:Amount="1"><crs:Parameters>
  <rdf:Description crs:Version="15.0" crs:ConvertToGrayscale="False"/></crs:Parameters></rdf:Description></crs:Look>
 <odd:list><rdf:Seq><rdf:li rdf:parseType="Resource"><odd:q>1</odd:q></rdf:li></rdf:Seq></odd:list>
</rdf:Description>""")

DARKTABLE = packet("""<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
  xmlns:darktable="http://darktable.sf.net/" xmp:Rating="1" darktable:xmp_version="5" darktable:auto_presets_applied="1">
 <darktable:masks_history><rdf:Seq/></darktable:masks_history>
 <darktable:history><rdf:Seq><rdf:li darktable:num="0" darktable:operation="exposure" darktable:enabled="1"
  darktable:modversion="6" darktable:params="00000000cdcc4c3f" darktable:multi_name="" darktable:multi_priority="0"
  darktable:blendop_version="11" darktable:blendop_params="gz11eJxjYIAACQYYOOHEgAYY0QVwggZ7CB6pfNoAAEkgGQQ="/></rdf:Seq>
 </darktable:history>
</rdf:Description>""")
