"""Words that decide whether a word is a person's name: lists kept by hand, each with what it is for."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Given names that a dictionary knows as a noun too, but that a customer writes for a person, in lower case as well.
PERSONAL = _words(
    """
    charly conner daniels dolores domingos elias ellis georges gilles hans helmer jared marlies milos niles nils pauls
    rainer reiner vester sander marques moses
    aaron abraham adam adrian albert alexander alfred ali alma amelia amir andrew anna anne anthony arnold arthur
    bart beatrice ben benedict benjamin bernard beth billy blake bob bobby bonnie brad bradley brady brent bridget
    brittany bruce bruno bryan byron calvin carlos carol caroline catherine charles charlotte christopher claire
    clive cody colette colin colleen conrad cynthia cyril damon daniel daphne david demetrius derrick diana dieter
    dimitri dirk dominic dominick dominique donna doris douglas duncan dylan edgar edward edwin elijah elisa
    elizabeth ella emilia erica erin ernest esther eugene eugenia ezra fatima felicia felix ferdinand frances
    francis frederick fritz gabriel gail gary gemma george gilbert glenn graham gregory hakim hank harry harvey
    hassan hector helen helena henry herbert herman hermann horst howard hubert hugo ibrahim isaac isabella ivan
    jacob james jason jenny jeremiah jerome jerry jimmy joachim joel john johnny jonah jonathan joseph josh joshua
    josue joyce judith julian karen kay kelly ken kirk kris krishna kylie lakshmi laurence lawrence leigh leo leon
    leonard leonardo lewis lindsay liza lloyd louis lucas lucy luke lydia mackenzie magdalena malik marc marcel
    maria martin mary mathias matthew melissa meredith michael mike mitchell mohammad mohammed mollie molly monica
    muhammad nancy naomi ned nicholas nina noah noel norman oliver olivier omar oscar owen patrick paul pauline pete
    peter philip phoebe pierre rachel ramona raphael rebecca rebekah reuben ricardo robert rolf ron rory roy rupert
    russ russell ruth sabine salim sam samuel sarah saul scott sean selma seth shannon sharon shawn shirley sid
    sidney siegfried silvia simon solomon sonia sonny spencer stan stephen stewart stuart susanna sylvia ted teddy
    terence teresa terry theresa thomas tiffany timothy toby todd tom tracy trent tristan tyler vanessa veronica vic
    vicky victor vincent wallace walter warren wayne wei wes wesley xavier zachary
    """
)

# Given names that are words, places or brands first. They are names after "my name is", after "I'm" at the end of a
# clause, or with a surname behind them, not otherwise.
WORD_NAMES = _words(
    """
    abbey alexa amber angel april art ashton asia aspen aurora austin autumn bailey basil bell berry bill brandy
    brook brooke chad chance charity chase chelsea cherry christian chuck clay cliff cooper coral crystal curt daisy
    dakota dale dallas dana dawn dean destiny dexter diego dolly don drew ebony eddy eden eve faith fay fern flora
    florence ford frank gale gene georgia ginger glen grace grant guy hal harmony harper hazel heath heather holly
    hope hunter india iris ivy jack jade jan jasmine jasper jay jean jet jewel jo jordan joy jude june justice
    kennedy kent king kit lance lane laurel lee lily lou luna mac madison marina mark marsha mason max maxwell may
    maya mel melody mercedes mercy merry mick miles mo morgan myrtle nat nell nick olive olympia opal paige paris
    parker pat patience patsy patty pearl peg penny perry phoenix pierce piper poppy preston prince princess quincy
    randy ray reed rex rich rick riley rio rob robin rocky rod roman rosa rose rosemary rowan ruby sage sally sandy
    sapphire savannah scarlet shelby sherry sienna sierra silver sky sofia star stella sterling storm sue summer
    sunny sydney tad tara terra tiger trinity trip troy val van vera victoria viola violet virginia wade ward warren
    will willow winter wolf woody
    """
)

# Given names that the lists lack, mostly transliterated ones and short forms.
MORE_GIVEN = _words(
    """
    abdul abdulla abdullah aisha akash aleksei alexei amina amit anand anastasia andrei andrii anil anita anjali
    anushka arjun arun ashok ashwin asif attila ayesha bashir bilal bogdan chidi chinedu chinonso chioma deepa
    deepak deepika dimitris dinesh divya dmytro dragan ebele eleni emeka faisal farah farhan ferenc ganesh gaurav
    giorgos girish gopal goran habib hamza hao harish haruki haruto hassan hemant hina hiroshi imran ines ionut
    iqbal irfan ismail istvan ivana javed jelena jie jiho jing jovana jozef jyoti kamal kamran karan karthik katya
    kavita kenji khadija khalid kiran kofi kostas kwabena kwame lakshman lalit laszlo latha leila luka lukas madhu
    mahesh manish manoj marek mariam maryam masha meena meera mehmet mihai mikhail milica milos minjun mohan mukesh
    mustafa nabil nadeem narendra nasir natasha naveen neha nikhil nikita nikola nikos nilesh nisha nitin oksana
    oleksandr olu olumide oluwaseun omar osman pavel pooja prakash pranav prasad pratik praveen priya priyanka radu
    rahim rahul raj rajan rajeev rajesh rakesh ramesh rashid ravi rekha rizwan rohan rohit sachin sadia saeed sakura
    sameer samir sandeep sangeeta sanjay sanjeev sasha satish seojun sergei sergey shabnam shahid shalini shankar
    shreya siddharth sneha srinivas sudhir suman sunil sunita suresh svetlana swati syed takeshi tanya tariq tibor
    tomas tunde uday umar usha usman varun vijay vikas vikram vinay vinod vishal vivek vladimir volodymyr xiao
    yannis yash ying yulia yusuf yuto zahra zainab zoltan zoran zubair
    """
)

# In lists of given names, yet never a person in a customer's message unless a surname or an introduction says so.
NO_NAME = _words(
    """
    aba ace ada add ade ahoy aida ala alba ale alias aline alta ama amen america amor an and ane angeles anu
    any app apple april are ari aria asa asc asin asos aud avis ayo bas bea beckham bela best beta bic bil
    bit bo bon bora buy cal cam can cap cara cas casa case cash cc chat che chi china cielo cod con costa dag dai
    dam data day de deb dee del delta den der des dev dewalt di dia din dis diva dni do doc dom dono dot dow du dun
    dus eau eco ed eden efe el ela ele else em ema en end era es esa este eta ever evo ex eye fares fed fem fia
    fir flo forum fr free fri gal gb geo gia gil glenwood go gro gu ha hal ham has hasta hi him his ho hoi
    holla hon how hu hung hus ib ica ide ido ie ike ila im ima in ina inc ine ing ion ios ira irl is isa isreal
    it ita iva iza ja jade jar jet ji job jun kai kaya ke kia ko la lan las latte lea lei les lex li lia lim lin
    lo loi lol lolla lot lou lu lue luz ly ma macy mad mae mai mail main maj mal man mana mar marks mart mary's mas
    mat max may me media mel men meta meyer mi mic micro mie mil mile miles min minh mini mio mir mirage mm mo
    moa mobile mod modesto moi mom mon more mum my na nae nam nan nas nat nav nea neo nhs nia nie nike nil
    nino no noa noe noma non nor not nova nu nun oba of oh ok okay oke okey ol ole om oma on one oni online ora oral
    order os osa ota our out ova over owe pa pal pan par pau pay pc pe per pet pim pin pix plan plus po pol
    polly por porsche post pre pro prue qi que rae ram ras re red redmond ref rei rem ren rent rep rex rey ria rica
    rim rin ring rio rip rma road rob rok rom ron rosario ross ru rut sa sad sai sal sale sam's same san santa sat
    save say se see sem sep set sh shan she shop si sia sid sie sif sil sim sin sis siv sky so sol som son sri ss
    ssn st sun sup sure ta tab tai tal tan tara tata tea tee tel ten than thanh thats the theres they thi this ti
    tia ties til tim's time tin tisha to toa ton too tool top tor tra tre tri true tu tui tv two ty ula uma un
    una uni uno up ur us usa val van var ve ver vi via vid vim vip vis visa vita vo von wa wan was wat way we web
    wed who wim win wm wo won work xia yan yar yas yaw ye yee yep yes yet yo you young yug za zara zed zone
    """
)

# Brands, carriers, shops, payment services and products that a recognizer takes for people.
BRANDS = _words(
    """
    adidas affirm afterpay aldi alexa alipay amazon amex android apple aramex argos armani asos asus audi authy
    barbie barclays bosch bose braun burberry burts calvin canon carhartt cartier chanel chrome citi clarks clearpay
    colissimo converse correos crocs curry's currys dell delonghi dhl diesel dior disney dolce dpd dr.martens dyson
    ebay edge etsy evri facebook fedex fendi fernway firefox fitbit garmin gillette giropay gls gmail google gopro
    gucci guess harrods heinz hermes hilfiger hm hotmail hp hsbc huawei ikea inpost instagram ipad iphone jabra jbl
    jcb kenwood kia kitchenaid klarna kohl's lacoste lego lenovo levi levi's levis lg lidl lindt linkedin lloyds
    logitech loreal lush macbook maestro makita martens mastercard mcdonalds mercedes messenger michelin microsoft
    miele mondial monzo motorola nespresso nestle netflix newegg nike nikon nintendo nivea nokia oakley omega
    oneplus oppo oracle outlook panasonic pandora patagonia paypal pepsi philips playstation porsche postnord prada
    primark puma ralph revolut ring roomba royal samsung santander sephora shein shopify siemens siri skype slack
    sofort sonos sony spotify starbucks stripe superdry swarovski swatch swish target telegram tesco tesla tiktok
    timberland tommy toyota trustpilot twint twitter uber ups usps valentino vans versace viber visa vodafone volvo
    walmart wayfair wechat whatsapp wilson wise xbox xiaomi yahoo yodel youtube zalando zara zelle zoom
    """
)

# Words that follow "this is", "I'm", "hi", "Mr" or "call me" without being a name, and begin sentences in capitals.
FUNCTION = _words(
    """
    office word excel teams windows store shop delivery returns sales billing service services
    a abend about above actually africa after again against agent all almost already also although always am america
    american among amongst amsterdam an and another any anybody anyone anything app apr april are aren as asap
    assistant at atm aug august australia austria awful back bad barcelona be because been before being belfast
    belgium berlin best birmingham bitte black bluetooth bonjour bonsoir boston bot both brazil bristol britain
    british brooklyn brussels btw buenas buenos buongiorno but by bye california call can canada canadian cannot
    cant car cardiff cheers cheerz chicago china christmas ciao cork could customer cyber czesc danke dear dec
    december delhi denmark despite dias did didn diwali do dobry does doesn doing don done dont dubai dublin during
    dutch dzien each easter edinburgh either else email end england english enough es eta eu eur europe european eve
    even ever every everybody everyone excellent faq feb february fine finland first florida folks for france french
    fri friday from further fyi galway gbp gentlemen german germany get getting give glasgow go going gonna good
    goodbye got gotta gracias grazie great greece guten guys had hallo hamburg happy has hasn hasnt have haven
    havent having hdmi he hej hello help her here heres hers hey hi him his hiya hola how hows human i ich id idk if
    ill im in india indian into ios ireland irish is isn ist it italian italy its ive jan january japan je jul july
    jun june just keep know ladies lads last late later lcd least led leeds let lets like lisbon liverpool lol
    london looking ma madam madrid make man manchester many mar march mate may maybe me mean mein meine melbourne
    merci mexico mi mijn milan mine moin mom mon monday more morgen morning most mr mrs ms much mum mumbai munich
    must my myself naam name near need netherlands never new next nice no nobody none nope norway not nothing nov
    november now number obrigado oct october of off ok okay ola old omg on once one only onto or other otp our out
    over own parcel paris pc pdf people per person pin please pls plz poland polish portugal prague qr quite ramadan
    rather really rechnung refund regarding regards right robot rome russia salut same sat saturday say scotland see
    self send sent sep sept september service servus she shop should since singapore sir sirs sms so some someone
    something soon sorry spain spanish still stop such suis sun sunday support sure svp sweden switzerland sydney
    tag tak tardes tbh team tell texas than thank thanks thanku thankyou that thats the their them then there theres
    these they thing this thnx those though throughout thu thur thurs thursday thx till time to today tomorrow too
    toronto trying tue tues tuesday turkey tv two u uk ukraine und under unless until up upon ur urgent url us usa
    usb usd use valentines vat versus very via vienna wait waiting wales wanna want warsaw was wasn way we wed
    wednesday well went were what whats when where whereas which while who whom whose why wifi will wish with within
    without won wont would wow wrong wtf xl xmas xs xxl ya yeah year yep yes yesterday yet york you your youre yours
    zealand
    """
)

# Surnames that are adjectives, verbs or the like, common enough to be one behind a given name in lower case.
WORD_SURNAMES = _words(
    """
    baker bell berry bird bishop black bloom brown burns bush butler carpenter chambers clay cook cooper cross day
    dean drew fisher foster fox freeman frost garner grant gray green grey hale hardy hill holder hunt hunter jordan
    kent king knight lamb lane law lee little long love mann marsh mason may miller mills moody moon moore morris
    page palmer park parker parsons pearce perry pierce pike pope porter potter powers price quick ray reed reid
    rice rich rose rush sharp shepherd short silva sing singh small smart steel stern stone strong swan swift temple
    turner underwood wade walker wall walsh ward waters weaver webb weber wells west white wise wolf wood woods
    wright young
    """
)

# Before a name these make a place of it: "san jose", "st louis", "new jersey".
OF_PLACES = _words("san santa st saint los las new fort port mount lake cape")

# Parts between a given name and a surname.
PARTICLES = _words("de da do dos das di del della van von der den ter ten la le du bin ibn al el abu mc mac st o'")
